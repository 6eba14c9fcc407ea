import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { flagsAlike } from './entry_run.js';

describe('flagsAlike', () => {
  it('counts as one entry after the other would', () => {
    const entries = fc.array(
      fc.noBias(fc.nat(40)).map((at) => (at === 0 ? 9 : 5)),
      {
        minLength: 20,
        maxLength: 60,
      },
    );
    let longest = 0;
    fc.assert(
      fc.property(entries, fc.nat(), fc.nat(), (values, a, b) => {
        const flags = new Uint16Array(64);
        flags.set(values);
        const from = a % values.length;
        const to = from + 1 + (b % (values.length - from));
        let expected = from;
        while (expected < to && flags[expected] === flags[from]) expected += 1;
        longest = Math.max(longest, expected - from);
        const flagPairs = new Uint32Array(flags.buffer);
        expect(flagsAlike({ flags, flagPairs }, from, to, flags[from])).toBe(expected - from);
      }),
      { seed: 3, numRuns: 2000 },
    );
    expect(longest).toBeGreaterThan(20);
  });

  it('does not look behind the end of a run that fills words of two', () => {
    const flags = new Uint16Array(16).fill(7);
    const flagPairs = new Uint32Array(flags.buffer);
    for (let to = 1; to <= 16; to += 1) {
      expect(flagsAlike({ flags, flagPairs }, 0, to, 7)).toBe(to);
    }
  });
});
