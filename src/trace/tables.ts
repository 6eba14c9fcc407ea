import { RmapError } from '../base/errors.js';
import { wordCell } from './event.js';

/** Most entries of a table before a file is refused: what no honest recording reaches. */
const MOST_ENTRIES = 1 << 24;

function checkSize(size: number, what: string): void {
  if (size >= MOST_ENTRIES) {
    throw new RmapError('input', `more than ${MOST_ENTRIES} different ${what} in one recording`);
  }
}

/** Texts of a recording (names of system calls, comms, files, marks), each stored once. */
export class StringTable {
  readonly #texts: string[] = [];
  readonly #rows = new Map<string, number>();

  get size(): number {
    return this.#texts.length;
  }

  /** Row of a text, added when it is new. */
  intern(text: string): number {
    const known = this.#rows.get(text);
    if (known !== undefined) return known;
    const row = this.#texts.length;
    checkSize(row, 'texts');
    this.#texts.push(text);
    this.#rows.set(text, row);
    return row;
  }

  /** Row of a text, or −1 if no event carries it. */
  find(text: string): number {
    return this.#rows.get(text) ?? -1;
  }

  /** Text of a row; the empty text for −1 and rows that do not exist. */
  text(row: number): string {
    return this.#texts[row] ?? '';
  }

  all(): readonly string[] {
    return this.#texts;
  }
}

/** 64-bit words that do not fit a column of doubles, each stored once. */
export class WordTable {
  readonly #words: bigint[] = [];
  /** Rows by lower half and upper half: no big integer is made for a word that is known. */
  readonly #rows = new Map<number, Map<number, number>>();

  get size(): number {
    return this.#words.length;
  }

  /** Cell for the word `upper << 32 | lower`, both halves as unsigned 32-bit numbers. */
  cell(lower: number, upper: number): number {
    if (upper < 0x200000) return upper * 2 ** 32 + lower;
    if (upper === 0xffffffff && lower >= 0xfffff000) return lower - 2 ** 32;
    let byLower = this.#rows.get(upper);
    if (byLower === undefined) {
      byLower = new Map();
      this.#rows.set(upper, byLower);
    }
    const known = byLower.get(lower);
    if (known !== undefined) return wordCell(known);
    const row = this.#words.length;
    checkSize(row, 'kernel words');
    this.#words.push((BigInt(upper) << 32n) | BigInt(lower));
    byLower.set(lower, row);
    return wordCell(row);
  }

  /** Cell for a word given as a big integer, taken modulo 2^64. */
  cellOf(word: bigint): number {
    const unsigned = BigInt.asUintN(64, word);
    return this.cell(Number(unsigned & 0xffffffffn), Number(unsigned >> 32n));
  }

  /** The word of a row, unsigned; 0 for rows that do not exist. */
  word(row: number): bigint {
    return this.#words[row] ?? 0n;
  }

  all(): readonly bigint[] {
    return this.#words;
  }
}
