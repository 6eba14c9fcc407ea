import { describe, expect, it } from 'vitest';
import { SwapScript } from '../../../test/support/swap_script.js';

// @covers do_swap_page, swap_entry, should_try_to_free_swap, ksm_might_need_to_copy, folio_free_swap

describe('swap-in of a slot with one reference', () => {
  it('by a read maps the page writable, clean and exclusive, and frees the slot', () => {
    const script = new SwapScript();
    script.fill(0, 4, 5);
    script.out(0, 4);
    expect([script.slot(0), script.slot(3), script.usedSlots]).toEqual(['0e', '3e', 4]);
    expect(script.run({ op: 'read', p: 0, at: 1, n: 1 })).toMatchObject({ maj: 1, flt: 0 });
    expect([script.bits(1), script.folio(1), script.refs(1)]).toEqual(['w-e', 'A B', 1]);
    expect([script.read(1), script.usedSlots, script.problems]).toEqual([[6], 3, []]);
  });

  it('by a write is dirty at once', () => {
    const script = new SwapScript();
    script.fill(0, 1);
    script.out(0, 1);
    expect(script.write(0, 1, 9)).toMatchObject({ maj: 1, flt: 0 });
    expect([script.bits(0), script.folio(0)]).toEqual(['wde', 'A B']);
  });

  it('is exclusive whatever the entry says, with the anon_vma of its own VMA', () => {
    const script = new SwapScript();
    script.fillInGroup(0, 1, 7);
    script.fork(0, 1);
    script.reclaim();
    expect([script.slot(0), script.slot(0, 1)]).toEqual(['0', '0']);
    script.run({ op: 'exit', p: 0 });
    expect(script.read(0, 1, 1)).toEqual([7]);
    expect(script.bits(0, 1)).toBe('w-e');
    const page = script.page(0, 1);
    const ownAnonVma = script.state().procs[1].vmas[0].av;
    expect(page?.k === 'page' ? page.folioState?.av : '').toBe(ownAnonVma);
  });

  it('stays read-only in a read-only VMA, and a forced write is in place', () => {
    const script = new SwapScript();
    script.fill(0, 1);
    script.out(0, 1);
    script.run({ op: 'mprotect', p: 0, at: 0, n: 1, prot: 'r' });
    script.run({ op: 'mem_write', p: 0, at: 0, n: 1, v: 8 });
    expect([script.bits(0), script.read(0)]).toEqual(['-de', [8]]);
  });

  it('of a small control group is not active', () => {
    const script = new SwapScript();
    script.fillInGroup(0, 1);
    script.reclaim();
    script.read(0);
    expect(script.folio(0)).toBe('B');
  });

  it('remembers that the page was in the working set', () => {
    const script = new SwapScript();
    script.fill(0, 1);
    for (let round = 0; round < 2; round += 1) {
      script.out(0, 1);
      script.read(0);
    }
    expect(script.folio(0)).toBe('A B W');
  });
});

describe('swap-in of a shared slot', () => {
  function shared(): SwapScript {
    const script = new SwapScript();
    script.fillInGroup(0, 1, 7);
    script.fork(0, 1);
    script.fork(0, 2);
    script.reclaim();
    return script;
  }

  it('goes through the cache: read-only, not exclusive, kept for the others', () => {
    const script = shared();
    expect(script.run({ op: 'read', p: 0, at: 0, n: 1 })).toMatchObject({ maj: 1 });
    expect([script.bits(0), script.folio(0), script.refs(0)]).toEqual(['---', 'B C', 2]);
    expect(script.run({ op: 'read', p: 1, at: 0, n: 1 })).toMatchObject({ maj: 0, flt: 1 });
    expect([script.refs(0), script.usedSlots]).toEqual([3, 1]);
  });

  it('copies for a writer while others want it; the last one reuses', () => {
    const script = shared();
    script.write(0, 1, 8, 0);
    script.write(0, 1, 9, 1);
    expect([script.bits(0, 0), script.folio(0, 0)]).toEqual(['wde', 'B']);
    script.write(0, 1, 10, 2);
    expect([script.bits(0, 2), script.folio(0, 2), script.usedSlots]).toEqual(['wde', 'D B', 0]);
    expect([script.read(0), script.read(0, 1, 1), script.read(0, 1, 2)]).toEqual([[8], [9], [10]]);
  });

  it('keeps the folio in the cache after the others are gone, until a write', () => {
    const script = shared();
    script.read(0);
    script.run({ op: 'exit', p: 1 }, { op: 'exit', p: 2 });
    expect([script.folio(0), script.usedSlots]).toEqual(['B C', 1]);
    script.write(0, 1, 3);
    expect([script.folio(0), script.bits(0), script.usedSlots]).toEqual(['D B', 'wde', 0]);
  });

  it('a cached folio without mapping goes with the last entry', () => {
    const script = shared();
    script.advise(0, 1, 'willneed');
    for (const p of [0, 1, 2]) script.run({ op: 'munmap', p, at: 0, n: 1 });
    expect([script.usedSlots, script.kernel.swap.folioSlots.size]).toEqual([0, 0]);
  });

  it('copies out of a KSM slot for every address but one', () => {
    const script = new SwapScript();
    script.run({ op: 'memcg', p: 0, on: 1 });
    script.map(0, 3);
    script.run({ op: 'madvise', p: 0, at: 0, n: 3, advice: 'mergeable' });
    script.write(0, 3, 5);
    script.run({ op: 'memcg', p: 0, on: 0 }, { op: 'ksm', scans: 3 });
    expect(script.kind(0)).toBe('ksm');
    script.reclaim();
    expect([script.slot(0), script.slot(1), script.slot(2)]).toEqual(['0', '0', '0']);
    expect(script.read(0, 3)).toEqual([5, 5, 5]);
    expect([0, 1, 2].map((at) => script.folio(at))).toEqual(['B C', 'D B', 'D B']);
    expect(script.problems).toEqual([]);
  });
});

describe('an exclusive entry whose folio is still in the cache', () => {
  it('maps exclusively and keeps the cache while somebody holds the folio', () => {
    const script = new SwapScript();
    script.fill(0, 1);
    script.splice(0, 1);
    script.out(0, 1);
    expect(script.run({ op: 'read', p: 0, at: 0, n: 1 })).toMatchObject({ maj: 0, flt: 1 });
    expect([script.bits(0), script.folio(0), script.refs(0)]).toEqual(['w-e', 'D B C', 3]);
  });

  it('loses the cache with a write when nobody else holds it', () => {
    const script = new SwapScript();
    script.fill(0, 2);
    script.out(0, 2);
    script.advise(0, 2, 'willneed');
    script.read(0);
    script.write(1, 1, 4);
    expect([script.bits(0), script.folio(0)]).toEqual(['w-e', 'A B C']);
    expect([script.bits(1), script.folio(1)]).toEqual(['wde', 'D A B']);
  });
});

describe('mlock and swap', () => {
  it('reads locked pages in, and locks those whose folio was still in the swap cache', () => {
    for (const [kind, flags] of [
      ['file', 'D B V M'],
      ['zram', 'A B'],
    ] as const) {
      const script = new SwapScript(kind);
      script.fill(0, 2);
      script.out(0, 2);
      script.run({ op: 'mlock', p: 0, at: 0, n: 2 });
      expect([kind, script.bits(0), script.folio(0)]).toEqual([kind, 'wde', flags]);
    }
  });

  it('locks a page that was read for this fault only when it is mapped again', () => {
    const script = new SwapScript();
    script.fill(0, 1);
    script.out(0, 1);
    script.fork(0, 1);
    script.run({ op: 'mlock', p: 0, at: 0, n: 1, onfault: 1 });
    script.read(0);
    expect(script.folio(0)).toBe('A B C');
    script.run({ op: 'mlock', p: 1, at: 0, n: 1, onfault: 1 });
    script.read(0, 1, 1);
    expect([script.folio(0), script.problems]).toEqual(['D B V M', []]);
  });
});
