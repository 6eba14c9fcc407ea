import { describe, expect, it } from 'vitest';
import { SwapScript } from '../../../test/support/swap_script.js';

/** A machine with one 64 KiB folio at page 0. */
function mthp(): SwapScript {
  const script = new SwapScript();
  script.set('mthp.64kB', 'always');
  script.fill(0, 16, 1);
  return script;
}

// @covers madvise_free_pte_range, madvise_cold_or_pageout_pte_range, folio_mark_lazyfree

describe('MADV_FREE', () => {
  it('cleans the entries, keeps them writable, and makes the folio droppable', () => {
    const script = new SwapScript();
    script.fill(0, 2);
    script.advise(0, 2, 'free');
    expect([script.bits(0), script.folio(0)]).toEqual(['w-e', '']);
    expect(script.write(0, 1, 5)).toMatchObject({ flt: 0 });
    script.out(0, 2);
    expect([script.read(0), script.folio(0), script.read(1)]).toEqual([[5], 'D A B', [0]]);
  });

  it('drops swap entries with their slots', () => {
    const script = new SwapScript();
    script.fill(0, 2);
    script.out(0, 2);
    script.fork(0, 1);
    script.advise(0, 2, 'free');
    expect([script.read(0, 2), script.read(0, 2, 1)]).toEqual([
      [0, 0],
      [1, 2],
    ]);
    expect(script.problems).toEqual([]);
  });

  it('takes shared folios too, unless they are dirty themselves', () => {
    const script = new SwapScript();
    script.fill(0, 2);
    script.run({ op: 'mem_write', p: 0, at: 1, n: 1, v: 9 });
    script.fork(0, 1);
    script.advise(0, 2, 'free');
    expect([script.folio(0), script.folio(1)]).toEqual(['', 'D B']);
  });

  it('keeps a large folio whole if the range covers it, and splits it otherwise', () => {
    const whole = mthp();
    whole.advise(0, 16, 'free');
    expect([whole.order(0), whole.folio(0)]).toEqual([4, '']);
    const part = mthp();
    part.advise(0, 4, 'free');
    expect([part.order(0), part.folio(0), part.folio(4)]).toEqual([0, '', 'D B']);
  });

  it('leaves a part of a shared or held large folio alone', () => {
    const shared = mthp();
    shared.fork(0, 1);
    shared.advise(0, 4, 'free');
    expect([shared.order(0), shared.folio(0)]).toEqual([4, 'B']);
    const held = mthp();
    held.splice(8, 1);
    held.advise(0, 4, 'free');
    expect([held.order(0), held.folio(0)]).toEqual([4, 'B']);
  });
});

describe('MADV_COLD', () => {
  it('makes an active folio inactive and remembers the working set', () => {
    const script = new SwapScript();
    script.fill(0, 1);
    script.out(0, 1);
    script.read(0);
    expect(script.folio(0)).toBe('A B');
    script.advise(0, 1, 'cold');
    expect(script.folio(0)).toBe('B W');
  });

  it('leaves folios alone that somebody else maps', () => {
    const script = new SwapScript();
    script.fill(0, 1);
    script.fork(0, 1);
    script.advise(0, 1, 'cold');
    const page = script.page(0);
    expect(page?.k === 'page' ? page.y : 0).toBe(1);
  });
});

describe('MADV_PAGEOUT', () => {
  it('swaps used pages, readable or not', () => {
    const script = new SwapScript();
    script.fill(0, 4);
    script.run({ op: 'mprotect', p: 0, at: 1, n: 1, prot: 'n' });
    expect(script.out(0, 4)).toBe(0);
    expect([0, 1, 2, 3].map((at) => script.slot(at))).toEqual(['0e', '1e', '2e', '3e']);
  });

  it('skips what others map', () => {
    const script = new SwapScript();
    script.fill(0, 2);
    script.fork(0, 1);
    script.run({ op: 'munmap', p: 1, at: 1, n: 1 });
    script.out(0, 2);
    expect([script.slot(0), script.slot(1)]).toEqual([undefined, '0']);
  });

  it('takes a large folio whole, in aligned slots, and splits it for a part', () => {
    const whole = mthp();
    whole.out(0, 16);
    const first = whole.kernel.swap.devices[0]?.cachedPage.length;
    expect([first, whole.usedSlots, whole.slot(15)]).toEqual([16_384, 16, '15e']);
    const part = mthp();
    part.out(0, 4);
    expect([part.usedSlots, part.order(4), part.folio(4)]).toEqual([4, 0, 'D B']);
  });

  it('of zero pages of a large folio swaps nothing', () => {
    const script = new SwapScript();
    script.set('mthp.64kB', 'always');
    script.map(0, 16);
    script.write(15, 1, 7);
    script.out(0, 4);
    expect([script.usedSlots, script.kind(0), script.read(15)]).toEqual([0, 'zero', [7]]);
  });

  it('skips locked folios and stops at a locked VMA', () => {
    const script = new SwapScript();
    script.fill(0, 4);
    script.run({ op: 'mlock', p: 0, at: 1, n: 1 });
    expect(script.out(0, 4)).toBe('EINVAL');
    expect([0, 1, 2].map((at) => script.slot(at))).toEqual(['0e', undefined, undefined]);
  });
});
