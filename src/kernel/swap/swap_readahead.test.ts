import { describe, expect, it } from 'vitest';
import { SwapScript } from '../../../test/support/swap_script.js';

/** Sixteen shared pages in swap, with a window of `2 ** cluster` pages. */
function swappedPages(cluster: number, kind: 'zram' | 'file' = 'zram'): SwapScript {
  const script = new SwapScript(kind);
  script.set('page_cluster', cluster);
  script.fillInGroup(0, 16);
  script.fork(0, 1);
  script.reclaim();
  return script;
}

/** Pages of process 0 whose slots are in the cache. */
function cached(script: SwapScript): number[] {
  return script.kernel.swap.folioSlots
    .sortedHeads()
    .map((head) => script.kernel.memory.content[head] - 1)
    .toSorted((a, b) => a - b);
}

// @covers swapin_readahead, swap_vma_ra_win, read_swap_cache_async, swapin_walk_pmd_entry

describe('the window of swap readahead', () => {
  it('is one page by default', () => {
    const script = swappedPages(0);
    script.read(5);
    expect(cached(script)).toEqual([5]);
  });

  it('lies around the first fault', () => {
    const script = swappedPages(2);
    script.read(5);
    expect(cached(script)).toEqual([4, 5, 6, 7]);
    expect(script.run({ op: 'read', p: 0, at: 6, n: 1 })).toMatchObject({ maj: 0, flt: 1 });
  });

  it('goes on upwards or downwards with the faults', () => {
    const script = swappedPages(2);
    script.read(5);
    script.read(4);
    script.read(3);
    expect(cached(script)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    const up = swappedPages(2);
    up.read(5);
    up.read(6);
    up.read(7);
    up.read(8);
    expect(cached(up)).toEqual([4, 5, 6, 7, 8, 9, 10, 11]);
  });

  it('halves when nothing of it was used', () => {
    const script = swappedPages(3);
    script.read(3);
    expect(cached(script)).toHaveLength(8);
    script.read(12);
    expect(cached(script).filter((page) => page > 8)).toEqual([11, 12, 13, 14]);
  });

  it('is cut at the ends of the VMA', () => {
    const script = swappedPages(3);
    script.read(15);
    expect(cached(script)).toEqual([12, 13, 14, 15]);
  });

  it('is not used for slots with one reference', () => {
    const script = new SwapScript();
    script.set('page_cluster', 3);
    script.fill(0, 16);
    script.out(0, 16);
    script.read(5);
    expect([cached(script), script.slot(6)]).toEqual([[], '5e']);
  });
});

describe('MADV_WILLNEED', () => {
  it('reads into the cache and changes no entry', () => {
    const script = new SwapScript();
    script.fill(0, 4);
    script.out(0, 4);
    script.advise(1, 2, 'willneed');
    expect([cached(script), script.slot(1)]).toEqual([[1, 2], '1e']);
    expect(script.run({ op: 'read', p: 0, at: 0, n: 4 })).toMatchObject({ maj: 2, flt: 2 });
    expect(script.problems).toEqual([]);
  });

  it('reads shmem and files too', () => {
    const script = new SwapScript();
    script.mapShared(0, 4);
    script.write(0, 4, 6);
    script.out(0, 4);
    expect(script.usedSlots).toBe(4);
    script.advise(0, 4, 'willneed');
    expect(script.kernel.swap.folioSlots.size).toBe(4);
    expect(script.read(0, 4)).toEqual([6, 6, 6, 6]);
    expect([script.usedSlots, script.problems]).toEqual([0, []]);
  });
});
