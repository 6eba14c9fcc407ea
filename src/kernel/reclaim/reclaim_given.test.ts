import { describe, expect, it } from 'vitest';
import { SwapScript } from '../../../test/support/swap_script.js';

describe('swap_out', () => {
  it('takes shared pages that are in use, which MADV_PAGEOUT does not', () => {
    const script = new SwapScript();
    script.fill(0, 2);
    script.fork(0, 1);
    script.out(0, 2);
    expect([script.slot(0), script.slot(0, 1)]).toEqual([undefined, undefined]);
    script.run({ op: 'swap_out', p: 1, at: 0, n: 1 });
    expect([script.slot(0), script.slot(0, 1), script.slot(1)]).toEqual(['0', '0', undefined]);
    expect(script.read(0, 2)).toEqual([1, 2]);
    expect(script.problems).toEqual([]);
  });

  it('takes a folio out of the swap cache the second time', () => {
    const script = new SwapScript('file');
    script.fill(0, 1);
    const page = script.pfn(0);
    script.run({ op: 'swap_out', p: 0, at: 0, n: 1 });
    script.read(0);
    expect(script.pfn(0)).toBe(page);
    script.run({ op: 'swap_out', p: 0, at: 0, n: 1 });
    script.run({ op: 'swap_out', p: 0, at: 0, n: 1 });
    expect(script.kernel.swap.devices[0]?.cachedPage.some((cached) => cached !== 0)).toBe(false);
    expect(script.read(0)).toEqual([1]);
    expect(script.problems).toEqual([]);
  });

  it('leaves page cache and holes alone', () => {
    const script = new SwapScript();
    script.mapShared(0, 1);
    script.write(0, 1, 5);
    const page = script.pfn(0);
    script.run({ op: 'swap_out', p: 0, at: 0, n: 3 });
    expect([script.pfn(0), script.usedSlots]).toEqual([page, 0]);
  });
});
