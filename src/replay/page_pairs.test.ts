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

  it('say whether all pairs of a round are there together', () => {
    const step = fc.record({
      page: fc.nat(4).map((page) => page * 3000),
      pfn: fc.nat(4).map((pfn) => pfn * 700_000),
    });
    const steps = fc.array(step, { maxLength: 12 });
    fc.assert(
      fc.property(steps, steps, (before, listed) => {
        const pairs = new PagePairs();
        for (const { page, pfn } of before) pairs.pair(page, pfn);
        pairs.beginRound();
        const frameOf = new Map<number, number>();
        let isOnlyFrame = true;
        for (const { page, pfn } of listed) {
          const isSame = (frameOf.get(page) ?? pfn) === pfn;
          expect(pairs.pairInRound(page, pfn)).toBe(isSame);
          frameOf.set(page, pfn);
          isOnlyFrame &&= isSame;
        }
        const isOneToOne = isOnlyFrame && new Set(frameOf.values()).size === frameOf.size;
        expect(isOnlyFrame && pairs.isRoundWhole()).toBe(isOneToOne);
        for (let i = 0; i <= 4; i += 1) {
          expect(pairs.isOfRound(i * 3000)).toBe(frameOf.has(i * 3000));
        }
        pairs.beginRound();
        expect([pairs.isRoundWhole(), pairs.isOfRound(0)]).toEqual([true, false]);
      }),
      { seed: 7 },
    );
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
