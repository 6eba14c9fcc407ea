import type { PageTables } from './page_table.js';

/** Shorter runs are written faster one by one than by a call of the run-time system. */
const FEW = 24;

/** Sets the flags of `count` entries from `at` on. */
export function fillFlags(flags: Uint16Array, value: number, at: number, count: number): void {
  if (count < FEW) {
    for (let entry = at; entry < at + count; entry += 1) flags[entry] = value;
  } else {
    flags.fill(value, at, at + count);
  }
}

/** Copies `count` payloads; the ranges do not overlap. */
export function copyWords(payload: Uint32Array, from: number, to: number, count: number): void {
  if (count < FEW) {
    for (let i = 0; i < count; i += 1) payload[to + i] = payload[from + i];
  } else {
    payload.copyWithin(to, from, from + count);
  }
}

/**
 * Entries in [from, to) with the flags `pte`, from `from` on; the first one has them. Eight at a
 * time, by words of two.
 */
export function flagsAlike(
  { flags, flagPairs }: Pick<PageTables, 'flags' | 'flagPairs'>,
  from: number,
  to: number,
  pte: number,
): number {
  let entry = from + 1;
  if ((entry & 1) !== 0 && entry < to && flags[entry] === pte) entry += 1;
  if ((entry & 1) === 0) {
    const both = pte | (pte << 16);
    let pair = entry >> 1;
    for (; 2 * pair + 7 < to; pair += 4) {
      const different =
        (flagPairs[pair] ^ both) |
        (flagPairs[pair + 1] ^ both) |
        (flagPairs[pair + 2] ^ both) |
        (flagPairs[pair + 3] ^ both);
      if (different !== 0) break;
    }
    entry = 2 * pair;
  }
  while (entry < to && flags[entry] === pte) entry += 1;
  return entry - from;
}
