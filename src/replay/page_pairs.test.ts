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
});
