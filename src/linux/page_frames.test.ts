import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameIndex, FrameSet } from './page_frames.js';

const frames = fc.uniqueArray(
  fc.oneof(fc.nat(100), fc.nat(0x3_ffff), fc.integer({ min: 0xffff_fff0, max: 0xffff_ffff })),
);

test('a frame set lists its members once and in order', () => {
  fc.assert(
    fc.property(frames, (members) => {
      const set = new FrameSet();
      for (const pfn of [...members, ...members]) set.add(pfn);
      expect(set.size).toBe(members.length);
      expect([...set.sorted()]).toEqual(members.toSorted((left, right) => left - right));
      for (const pfn of members) expect(set.has(pfn)).toBe(true);
      expect(set.has(50_000)).toBe(members.includes(50_000));
    }),
    { seed: 7 },
  );
});

test('a frame index finds the row of each frame and no other', () => {
  fc.assert(
    fc.property(frames, (members) => {
      const sorted = Uint32Array.from(members.toSorted((left, right) => left - right));
      const index = new FrameIndex(sorted);
      for (const [row, pfn] of sorted.entries()) expect(index.find(pfn)).toBe(row);
      expect(index.find(500_000)).toBe(-1);
    }),
    { seed: 7 },
  );
});
