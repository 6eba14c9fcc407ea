import { describe, expect, it } from 'vitest';
import { SwapScript } from '../../../test/support/swap_script.js';

// @covers shrink_folio_list, pageout, __remove_mapping, folio_alloc_swap, can_split_folio

describe('a folio that cannot be swapped', () => {
  it('becomes active without a swap area', () => {
    const script = new SwapScript('none');
    script.fill(0, 1);
    script.out(0, 1);
    expect([script.folio(0), script.bits(0)]).toEqual(['A B', 'wde']);
  });

  it('becomes active when the area is full', () => {
    const script = new SwapScript('zram', { memoryPages: 32_768 });
    script.map(0, 16_400);
    script.write(0, 16_400, 3);
    script.out(0, 16_400);
    expect([script.usedSlots, script.folio(16_399)]).toEqual([16_383, 'A B']);
    expect([script.read(16_399), script.problems]).toEqual([[3], []]);
  });

  it('stays as it is while pinned', () => {
    const script = new SwapScript();
    script.fill(0, 1);
    script.run({ op: 'pin', p: 0, at: 0, n: 1, id: 1 });
    script.out(0, 1);
    expect([script.folio(0), script.bits(0)]).toEqual(['B', 'wde']);
  });

  it('loses its entries to the cache while somebody holds a small one', () => {
    const script = new SwapScript();
    script.fill(0, 1, 7);
    script.splice(0, 1);
    script.out(0, 1);
    expect([script.slot(0), script.kernel.swap.folioSlots.size]).toEqual(['0e', 1]);
    script.run({ op: 'read', p: 0, at: 0, n: 1 });
    expect([script.folio(0), script.read(0)]).toEqual(['D B C', [7]]);
  });

  it('is not unmapped and becomes active while somebody holds a large one', () => {
    const script = new SwapScript();
    script.set('mthp.64kB', 'always');
    script.fill(0, 16);
    script.splice(3, 1);
    script.out(0, 16);
    expect([script.folio(0), script.usedSlots, script.order(0)]).toEqual(['A B', 0, 4]);
  });
});

describe('a folio that is swapped', () => {
  it('is split first if only a part of it is mapped', () => {
    const script = new SwapScript();
    script.set('mthp.64kB', 'always');
    script.fill(0, 16);
    script.run({ op: 'munmap', p: 0, at: 0, n: 4 });
    script.out(4, 12);
    expect([script.usedSlots, script.slot(4) !== undefined]).toEqual([12, true]);
    expect([script.read(4, 12), script.problems]).toEqual([
      [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
      [],
    ]);
  });

  it('is split first for an area of single slots, and stays in the cache until it is written', () => {
    const script = new SwapScript('file');
    script.set('mthp.64kB', 'always');
    script.fill(0, 16);
    script.out(0, 16);
    expect([script.usedSlots, script.kernel.swap.folioSlots.size]).toEqual([16, 16]);
    expect(script.run({ op: 'read', p: 0, at: 3, n: 1 })).toMatchObject({ maj: 0, flt: 1 });
    expect([script.order(3), script.folio(3)]).toEqual([0, 'B C']);
  });

  it('goes to swap again without a write if it is clean in the cache', () => {
    const script = new SwapScript('file');
    script.fill(0, 1, 7);
    script.out(0, 1);
    script.read(0);
    script.out(0, 1);
    expect([script.kernel.swap.folioSlots.size, script.usedSlots]).toEqual([0, 1]);
    expect(script.run({ op: 'read', p: 0, at: 0, n: 1 })).toMatchObject({ maj: 1 });
    expect(script.read(0)).toEqual([7]);
  });

  it('leaves a huge page as 512 entries', () => {
    const script = new SwapScript();
    script.set('thp', 'always');
    script.map(512, 512);
    script.write(512, 512, 3);
    script.out(512, 512);
    expect([script.slot(512), script.slot(1023), script.usedSlots]).toEqual(['0e', '511e', 512]);
  });
});
