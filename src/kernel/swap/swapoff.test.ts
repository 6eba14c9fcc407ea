import { describe, expect, it } from 'vitest';
import { SwapScript } from '../../../test/support/swap_script.js';

// @covers swapoff, try_to_unuse, unuse_pte, shmem_unuse

describe('swapoff', () => {
  it('makes pages of all entries: clean, read-only, exclusive if the entry was', () => {
    const script = new SwapScript();
    script.fill(0, 2, 5);
    script.out(0, 2);
    script.fork(0, 1);
    script.run({ op: 'munmap', p: 1, at: 1, n: 1 });
    script.fill(8, 1, 9);
    script.out(8, 1);
    expect(script.answer({ op: 'swapoff' })).toBe(0);
    expect([script.bits(0), script.bits(1), script.bits(8)]).toEqual(['---', '---', '--e']);
    expect([script.folio(0), script.pfn(0) === script.pfn(0, 1)]).toEqual(['D A B', true]);
    expect([script.read(0, 2), script.read(8), script.problems]).toEqual([[5, 6], [9], []]);
    script.write(8, 1, 3);
    expect(script.bits(8)).toBe('wde');
  });

  it('brings shmem back', () => {
    const script = new SwapScript();
    script.mapShared(0, 3);
    script.write(0, 3, 4);
    script.out(0, 3);
    expect(script.answer({ op: 'swapoff' })).toBe(0);
    expect(script.run({ op: 'read', p: 0, at: 0, n: 3 })).toMatchObject({ maj: 0 });
    expect(script.read(0, 3)).toEqual([4, 4, 4]);
  });

  it('without an area is refused', () => {
    expect(new SwapScript('none').answer({ op: 'swapoff' })).toBe('EINVAL');
  });

  it('lets another area take the same type', () => {
    const script = new SwapScript();
    script.fill(0, 1);
    script.run({ op: 'swapoff' }, { op: 'swapon', kind: 'file' });
    script.out(0, 1);
    expect(script.kernel.swap.devices).toHaveLength(1);
    expect([script.usedSlots, script.slot(0)]).toEqual([1, '0e']);
  });
});
