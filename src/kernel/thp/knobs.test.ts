import { describe, expect, it } from 'vitest';
import { Kernel } from '../kernel.js';
import { DEFAULT_PROFILE } from '../profile.js';
import { setThpKnob } from './knobs.js';

function newKernel(): Kernel {
  return new Kernel({ ...DEFAULT_PROFILE, memoryPages: 64 });
}

describe('setThpKnob', () => {
  it('sets the global modes', () => {
    const kernel = newKernel();
    expect(setThpKnob(kernel, 'thp', 'always')).toBe(true);
    expect(setThpKnob(kernel, 'shmem_thp', 'within_size')).toBe(true);
    expect(setThpKnob(kernel, 'zero_thp', 0)).toBe(true);
    expect(setThpKnob(kernel, 'shrink_underused', '0')).toBe(true);
    expect(kernel.knobs).toMatchObject({
      thp: 'always',
      shmemThp: 'within_size',
      hugeZeroPage: false,
      shrinkUnderused: false,
    });
  });

  it('sets the mode of one size', () => {
    const kernel = newKernel();
    expect(setThpKnob(kernel, 'mthp.64kB', 'always')).toBe(true);
    expect(setThpKnob(kernel, 'mthp.2048kB', 'never')).toBe(true);
    expect(setThpKnob(kernel, 'shmem_mthp.8kB', 'advise')).toBe(true);
    expect(setThpKnob(kernel, 'shmem_mthp.2048kB', 'inherit')).toBe(true);
    expect(kernel.knobs.anonOrders[4]).toBe('always');
    expect(kernel.knobs.anonOrders[9]).toBe('never');
    expect(kernel.knobs.shmemOrders[1]).toBe('advise');
  });

  it.each([
    ['thp', 'advise'],
    ['thp', 'inherit'],
    ['shmem_thp', 'madvise'],
    ['zero_thp', 2],
    ['mthp.8kB', 'always'],
    ['mthp.48kB', 'always'],
    ['mthp.4096kB', 'always'],
    ['mthp.64kB', 'within_size'],
    ['shmem_mthp.4kB', 'always'],
    ['page_cluster', 3],
  ])('refuses %s = %s', (key, value) => {
    expect(setThpKnob(newKernel(), key, value)).toBe(false);
  });
});
