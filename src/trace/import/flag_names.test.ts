import { describe, expect, it } from 'vitest';
import { CLONE_FLAGS, GFP_FLAGS, MAP_FLAGS, PROT_FLAGS, flagsValue } from './flag_names.js';

describe('names of flags', () => {
  it('are those of the kernel', () => {
    // The values that the raw events of the recordings have for the same allocations.
    const zeroed = 'GFP_HIGHUSER_MOVABLE|__GFP_ZERO|__GFP_COMP';
    expect(flagsValue(zeroed, GFP_FLAGS)).toBe(0x140dca);
    expect(flagsValue('GFP_HIGHUSER_MOVABLE|__GFP_COMP', GFP_FLAGS)).toBe(0x140cca);
    expect(flagsValue('GFP_TRANSHUGE|__GFP_NORETRY|__GFP_THISNODE', GFP_FLAGS)).toBe(0x3d24ca);
  });

  it('are joined, prefixed and mixed with numbers', () => {
    expect(flagsValue('PROT_READ|PROT_WRITE', PROT_FLAGS, 'PROT_')).toBe(3);
    expect(flagsValue('READ|0x10', PROT_FLAGS)).toBe(17);
    expect(flagsValue('MAP_PRIVATE|21<<MAP_HUGE_SHIFT', MAP_FLAGS, 'MAP_')).toBe(2 + 21 * 2 ** 26);
    expect(flagsValue('IO|VM', CLONE_FLAGS)).toBe(0x80000100);
    expect(flagsValue('PROT_NOTHING', PROT_FLAGS, 'PROT_')).toBeUndefined();
    expect(flagsValue('constructor', PROT_FLAGS)).toBeUndefined();
  });
});
