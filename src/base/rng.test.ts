import { describe, expect, it } from 'vitest';
import { Rng } from './rng.js';

describe('Rng', () => {
  it('gives the same numbers for the same seed, others for another', () => {
    const numbers = (seed: number): number[] => {
      const rng = new Rng(seed);
      return Array.from({ length: 8 }, () => rng.next32());
    };
    expect(numbers(7)).toEqual(numbers(7));
    expect(new Set([1, 2, 3, 2 ** 33 + 1].map((seed) => numbers(seed).join())).size).toBe(4);
  });

  it('never changes: saved seeds must replay', () => {
    const rng = new Rng(1);
    expect(Array.from({ length: 4 }, () => rng.below(1000))).toMatchInlineSnapshot(`
      [
        133,
        760,
        163,
        537,
      ]
    `);
  });

  it('stays in bounds and reaches both of them', () => {
    const rng = new Rng(3);
    const seen = new Set(Array.from({ length: 500 }, () => rng.between(2, 6)));
    expect([...seen].sort((a, b) => a - b)).toEqual([2, 3, 4, 5, 6]);
  });

  it('picks by weight', () => {
    const rng = new Rng(5);
    let heavy = 0;
    for (let i = 0; i < 1000; i += 1) {
      const picked = rng.weighted([
        [3, 'heavy'],
        [1, 'light'],
        [0, 'never'],
      ] as const);
      expect(picked).not.toBe('never');
      if (picked === 'heavy') heavy += 1;
    }
    expect(heavy).toBeGreaterThan(680);
    expect(heavy).toBeLessThan(820);
  });

  it('refuses to pick out of nothing', () => {
    expect(() => new Rng(1).pick([])).toThrow(RangeError);
  });
});
