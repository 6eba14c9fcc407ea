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

/** Entries in [from, to) with the flags `pte`, from `from` on; the first one has them. */
export function flagsAlike(flags: Uint16Array, from: number, to: number, pte: number): number {
  let entry = from + 1;
  for (; entry + 3 < to; entry += 4) {
    const different =
      (flags[entry] ^ pte) |
      (flags[entry + 1] ^ pte) |
      (flags[entry + 2] ^ pte) |
      (flags[entry + 3] ^ pte);
    if (different !== 0) break;
  }
  while (entry < to && flags[entry] === pte) entry += 1;
  return entry - from;
}
