import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PagePairs } from './page_pairs.js';

describe('page pairs', () => {
  it('are one to one whatever is paired and dropped', () => {
    const step = fc.record({
      drops: fc.boolean(),
      page: fc.nat(6).map((page) => page * 3000),
      pfn: fc.nat(6).map((pfn) => pfn * 700_000),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const pairs = new PagePairs();
        let expected: Array<readonly [page: number, pfn: number]> = [];
        for (const { drops, page, pfn } of steps) {
          if (drops) {
            pairs.dropFrame(pfn);
            expected = expected.filter(([, other]) => other !== pfn);
          } else {
            pairs.pair(page, pfn);
            expected = expected.filter((pair) => pair[0] !== page && pair[1] !== pfn);
            expected.push([page, pfn]);
          }
          for (let i = 0; i <= 6; i += 1) {
            const byPage = expected.find((pair) => pair[0] === i * 3000);
            const byFrame = expected.find((pair) => pair[1] === i * 700_000);
            expect(pairs.frameAt(i * 3000)).toBe(byPage?.[1] ?? -1);
            expect(pairs.pageAt(i * 700_000)).toBe(byFrame?.[0] ?? -1);
          }
        }
      }),
      { seed: 7 },
    );
  });

  it('says when a round parts one of its own pairs, and no other', () => {
    const pairs = new PagePairs();
    pairs.pair(1, 100);
    pairs.pair(2, 200);
    pairs.beginRound();
    // Pairs of earlier rounds may go.
    expect(pairs.pairInRound(1, 200)).toBe(true);
    expect(pairs.frameAt(2)).toBe(-1);
    expect(pairs.pairInRound(9000, 100)).toBe(true);
    expect(pairs.pairInRound(1, 200)).toBe(true);
    // The page has another frame, the frame another page.
    expect(pairs.pairInRound(1, 300)).toBe(false);
    expect(pairs.frameAt(1)).toBe(300);
    expect(pairs.pairInRound(3, 100)).toBe(false);
    expect([pairs.pageAt(100), pairs.frameAt(9000)]).toEqual([3, -1]);
    pairs.beginRound();
    expect(pairs.pairInRound(1, 200)).toBe(true);
  });

  it('keep the note of a page', () => {
    const pairs = new PagePairs();
    pairs.pair(5, 100);
    pairs.setNote(5, -7);
    pairs.beginRound();
    expect([pairs.isOfRound(5), pairs.isOfRound(1_000_000)]).toEqual([false, false]);
    pairs.pairInRound(5, 300_000);
    expect([pairs.isOfRound(5), pairs.noteAt(5)]).toEqual([true, -7]);
  });
});
