import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isInternedWord, wordRow } from './event.js';
import { StringTable, WordTable } from './tables.js';

describe('WordTable', () => {
  it('gives back every 64-bit word, and equal cells for equal words only', () => {
    const table = new WordTable();
    const cells = new Map<bigint, number>();
    const word = fc.oneof(
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      fc.bigInt({ min: 2n ** 64n - 5000n, max: 2n ** 64n - 1n }),
      fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n }),
    );
    fc.assert(
      fc.property(word, (value) => {
        const cell = table.cellOf(value);
        const back = isInternedWord(cell)
          ? table.word(wordRow(cell))
          : BigInt.asUintN(64, BigInt(cell));
        expect(back).toBe(value);
        cells.set(value, cell);
      }),
      { seed: 1, numRuns: 2000 },
    );
    expect(new Set(cells.values()).size).toBe(cells.size);
  });

  it('takes −1 and errnos as numbers', () => {
    const table = new WordTable();
    expect(table.cell(0xffffffff, 0xffffffff)).toBe(-1);
    expect(table.cell(0xffffffea, 0xffffffff)).toBe(-22);
    expect(table.cellOf(-4096n)).toBe(-4096);
    expect(table.size).toBe(0);
    expect(isInternedWord(table.cellOf(-4097n))).toBe(true);
    expect(table.size).toBe(1);
  });
});

describe('StringTable', () => {
  it('stores a text once and gives the empty text for no row', () => {
    const table = new StringTable();
    expect([table.intern('a'), table.intern('b'), table.intern('a')]).toEqual([0, 1, 0]);
    expect([table.text(1), table.text(-1), table.text(7)]).toEqual(['b', '', '']);
    expect([table.find('b'), table.find('c'), table.size]).toEqual([1, -1, 2]);
  });
});
