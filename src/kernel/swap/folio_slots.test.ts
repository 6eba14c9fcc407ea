import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FolioSlots } from './folio_slots.js';

describe('the swap entries of cached folios', () => {
  it('agree with a map after any additions and removals', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 400 }), { maxLength: 600, size: 'max' }), (heads) => {
        const slots = new FolioSlots();
        const oracle = new Map<number, number>();
        for (const [i, head] of heads.entries()) {
          if (oracle.delete(head)) {
            slots.delete(head);
          } else {
            oracle.set(head, i + 2 ** 31);
            slots.add(head, i + 2 ** 31);
          }
        }
        expect(slots.size).toBe(oracle.size);
        for (const [head, entry] of oracle) expect(slots.get(head)).toBe(entry);
        expect(slots.sortedHeads()).toEqual([...oracle.keys()].toSorted((a, b) => a - b));
      }),
      { seed: 11, numRuns: 200 },
    );
  });

  it('refuse what is not there and what is there already', () => {
    const slots = new FolioSlots();
    slots.add(5, 9);
    expect(() => slots.add(5, 10)).toThrow('twice');
    expect(() => slots.get(6)).toThrow('not in the swap cache');
    expect(() => slots.delete(6)).toThrow('not in the swap cache');
  });
});
