/** Loops that move a piece of a table's column to the places of its events in a batch. */
import type { DecodedArray } from 'hyparquet';
import { fail } from '../../base/errors.js';
import type { StringTable, WordTable } from '../tables.js';

/** Rows `from` … `to` of a column group go to places `seq[row] - base`. */
export interface Piece {
  readonly seq: Int32Array;
  readonly from: number;
  readonly to: number;
  readonly base: number;
}

/** Halves of 64-bit values, so that no big integer is made per row. */
export function halvesOf(values: DecodedArray): Uint32Array {
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) {
    return new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
  }
  return fail('a column of 64-bit values was decoded as something else');
}

/** Small numbers into a column of doubles. */
export function scatterInt32(piece: Piece, values: DecodedArray, target: Float64Array): void {
  if (!(values instanceof Int32Array)) fail('a column of 32-bit values was decoded otherwise');
  const { seq, from, to, base } = piece;
  for (let row = from; row < to; row += 1) target[(seq[row] ?? 0) - base] = values[row] ?? 0;
}

/** Thread ids. */
export function scatterTid(piece: Piece, values: DecodedArray, target: Int32Array): void {
  if (!(values instanceof Int32Array)) fail('a column of 32-bit values was decoded otherwise');
  const { seq, from, to, base } = piece;
  for (let row = from; row < to; row += 1) target[(seq[row] ?? 0) - base] = values[row] ?? 0;
}

/** CPU numbers. */
export function scatterCpu(piece: Piece, values: DecodedArray, target: Uint16Array): void {
  if (!(values instanceof Int32Array)) fail('a column of 32-bit values was decoded otherwise');
  const { seq, from, to, base } = piece;
  for (let row = from; row < to; row += 1) target[(seq[row] ?? 0) - base] = values[row] ?? 0;
}

/** 64-bit words; those that do not fit a double are interned. */
export function scatterWords(
  piece: Piece,
  values: DecodedArray,
  target: Float64Array,
  words: WordTable,
): void {
  const halves = halvesOf(values);
  const { seq, from, to, base } = piece;
  for (let row = from; row < to; row += 1) {
    const lower = halves[2 * row] ?? 0;
    const upper = halves[2 * row + 1] ?? 0;
    const cell = upper < 0x200000 ? upper * 2 ** 32 + lower : words.cell(lower, upper);
    target[(seq[row] ?? 0) - base] = cell;
  }
}

/** Kinds from "is it the second kind of the table?". */
export function scatterIsSecond(
  piece: Piece,
  values: DecodedArray,
  target: Uint8Array,
  kinds: readonly number[],
): void {
  const [first = 0, second = 0] = kinds;
  const { seq, from, to, base } = piece;
  for (let row = from; row < to; row += 1) {
    target[(seq[row] ?? 0) - base] = values[row] === true ? second : first;
  }
}

/** The only kind of a table. */
export function scatterKind(piece: Piece, target: Uint8Array, kind: number): void {
  const { seq, from, to, base } = piece;
  for (let row = from; row < to; row += 1) target[(seq[row] ?? 0) - base] = kind;
}

/** Kinds by name; returns the first name that is none, if any. */
export function scatterKindNames(
  piece: Piece,
  values: DecodedArray,
  target: Uint8Array,
  kindOf: ReadonlyMap<unknown, number>,
): string | undefined {
  const { seq, from, to, base } = piece;
  for (let row = from; row < to; row += 1) {
    const kind = kindOf.get(values[row]);
    if (kind === undefined) return String(values[row]);
    target[(seq[row] ?? 0) - base] = kind;
  }
  return undefined;
}

/** Texts as rows of the string table; the empty text is none. */
export function scatterTexts(
  piece: Piece,
  values: DecodedArray,
  target: Int32Array,
  strings: StringTable,
): void {
  const { seq, from, to, base } = piece;
  for (let row = from; row < to; row += 1) {
    const text = String(values[row]);
    target[(seq[row] ?? 0) - base] = text === '' ? -1 : strings.intern(text);
  }
}
