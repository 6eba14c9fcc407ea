import { describe, expect, it } from 'vitest';
import { SwapScript } from '../../../test/support/swap_script.js';

/** Eight pages of shared memory in a folio of order `order`, in swap. */
function swapped(order: 0 | 3): SwapScript {
  const script = new SwapScript();
  if (order === 3) script.set('shmem_mthp.32kB', 'always');
  script.mapShared(0, 8);
  for (let at = 0; at < 8; at += 1) script.write(at, 1, at + 1);
  script.out(0, 8);
  return script;
}

// @covers shmem_writeout, shmem_swapin_folio, shmem_free_swap, shmem_swap_usage, smap_gather_stats

describe('shared memory in swap', () => {
  it('has no entries; the file knows', () => {
    const script = swapped(0);
    expect(script.page(0)).toBeUndefined();
    expect(script.state().procs[0].vmas[0].smaps['Swap']).toBe(32);
    expect([script.usedSlots, script.problems]).toEqual([8, []]);
  });

  it.each([
    ['shared', 'rw', 32],
    ['private', 'r', 32],
    ['private', 'rw', 24],
  ] as const)(
    'counts behind guards too in %s %s mappings, unless they may have copies',
    (sharing, prot, expected) => {
      const script = new SwapScript();
      script.run(
        { op: 'file', id: 'f', n: 8, kind: 'memfd' },
        { op: 'filewrite', file: 'f', at: 0, n: 8, v: 5 },
        { op: 'mmap', p: 0, at: 0, n: 8, prot, flags: sharing, file: 'f', off: 0 },
        { op: 'mmap', p: 0, at: 16, n: 8, prot: 'r', flags: 'shared', file: 'f', off: 0 },
        { op: 'madvise', p: 0, at: 1, n: 2, advice: 'guard_install' },
      );
      script.read(16, 8);
      script.out(16, 8);
      expect(script.usedSlots).toBe(8);
      expect(script.state().procs[0].vmas[0].smaps['Swap']).toBe(expected);
    },
  );

  it('comes back dirty and active, one page or the whole folio', () => {
    const small = swapped(0);
    expect([small.read(3), small.usedSlots, small.folio(3)]).toEqual([[4], 7, 'D A B']);
    const large = swapped(3);
    expect([large.read(3), large.usedSlots, large.order(3)]).toEqual([[4], 0, 3]);
    expect(large.read(0, 8)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('comes back page by page after a part was punched out', () => {
    const script = swapped(3);
    script.run({ op: 'madvise', p: 0, at: 0, n: 2, advice: 'remove' });
    expect([script.usedSlots, script.read(0, 4), script.order(3)]).toEqual([6, [0, 0, 3, 4], 0]);
    expect(script.problems).toEqual([]);
  });

  it('stays if more than one process maps it', () => {
    const script = new SwapScript();
    script.mapShared(0, 2);
    script.write(0, 2, 3);
    script.fork(0, 1);
    script.read(0, 2, 1);
    script.out(0, 2);
    expect([script.usedSlots, script.kind(0)]).toEqual([0, 'file']);
  });

  it('gives its slots back with the last mapping', () => {
    const script = swapped(0);
    script.run({ op: 'munmap', p: 0, at: 0, n: 8 });
    expect([script.usedSlots, script.problems]).toEqual([0, []]);
  });
});
