import { grown } from '../base/grown.js';
import { PAGE_FLAG } from '../query/page_map.js';
import type { PageRows } from '../query/page_map.js';

/**
 * One word of /proc/PID/pagemap, as two 32-bit halves. Bits: 63 present, 62 swapped, 61 file or
 * shared anonymous, 58 guard region, 57 write-protected by userfaultfd, 56 mapped exclusively,
 * 0–54 the page frame (or, swapped, 0–4 the swap type and 5–54 the slot).
 */
export const ENTRY_HIGH = {
  present: 0x8000_0000,
  swapped: 0x4000_0000,
  file: 0x2000_0000,
  guard: 0x0400_0000,
  exclusive: 0x0100_0000,
  frame: 0x007f_ffff,
} as const;

/** Bytes of one entry. */
export const ENTRY_BYTES = 8;

const PRESENT_OR_SWAPPED = 0xc000_0000;
/** From the bits of an entry to those of `PAGE_FLAG`. */
const FILE_SHIFT = 29;
const EXCLUSIVE_SHIFT = 23;
/** Swap types from here on are no swap areas: migration, hardware poison, markers, devices. */
const FIRST_SPECIAL_SWAP_TYPE = 23;
const TWO_32 = 2 ** 32;
const SWAP_TYPE_SCALE = 2 ** 44;

/** The first elements, without a copy unless a third of the memory would be wasted. */
function trimmed<T extends Uint32Array | Uint8Array>(from: T, length: number): T {
  const isTight = length * 1.5 >= from.length;
  return (isTight ? from.subarray(0, length) : from.slice(0, length)) as T;
}

/**
 * Collects the pagemap entries of one process into columns. Feed it ascending page numbers.
 * The loop takes a few ns per entry; rows cost 5 B each.
 */
export class PageRowsBuilder {
  #pfn: Uint32Array<ArrayBuffer>;
  #flags: Uint8Array<ArrayBuffer>;
  #length = 0;
  #runVpn = new Float64Array(64);
  #runRow = new Uint32Array(64);
  #runCount = 0;
  #nextVpn = -1;
  #swap = new Float64Array(16);
  #swapVpn = new Float64Array(16);
  #swapCount = 0;
  /** Frames that followed themselves: candidates for the zero page. */
  readonly repeatedPfns = new Set<number>();
  /** Present entries above 16 TiB of physical addresses: device memory. */
  skippedPages = 0;
  /** Entries in the middle of a migration, poisoned, or markers. */
  specialEntries = 0;

  /** `expectedRows` saves growing; it may be wrong. */
  constructor(expectedRows = 1024) {
    this.#pfn = new Uint32Array(expectedRows);
    this.#flags = new Uint8Array(expectedRows);
  }

  get length(): number {
    return this.#length;
  }

  get swapCount(): number {
    return this.#swapCount;
  }

  /** Takes `count` entries for the pages from `vpn` on; `words` holds two words per entry. */
  add(words: Uint32Array, count: number, vpn: number): void {
    this.#reserve(this.#length + count);
    const pfns = this.#pfn;
    const flags = this.#flags;
    let row = this.#length;
    let nextVpn = this.#nextVpn;
    let previous = row > 0 && nextVpn === vpn ? (pfns[row - 1] ?? -1) : -1;
    for (let index = 0; index < count; index++) {
      const high = words[2 * index + 1] ?? 0;
      if ((high & PRESENT_OR_SWAPPED) === 0) continue;
      const low = words[2 * index] ?? 0;
      if ((high & ENTRY_HIGH.present) === 0) {
        this.#addSwap(low, high, vpn + index);
        continue;
      }
      if ((high & ENTRY_HIGH.frame) !== 0) {
        this.skippedPages++;
        continue;
      }
      if (low === previous && low !== 0) this.repeatedPfns.add(low);
      previous = low;
      if (vpn + index !== nextVpn) this.#startRun(vpn + index, row);
      nextVpn = vpn + index + 1;
      pfns[row] = low;
      flags[row] =
        ((high >>> FILE_SHIFT) & PAGE_FLAG.file) |
        ((high >>> EXCLUSIVE_SHIFT) & PAGE_FLAG.exclusive);
      row++;
    }
    this.#length = row;
    this.#nextVpn = nextVpn;
  }

  /** The rows so far; the builder must not be fed afterwards. */
  rows(): PageRows {
    return {
      length: this.#length,
      pfn: trimmed(this.#pfn, this.#length),
      flags: trimmed(this.#flags, this.#length),
      runVpn: this.#runVpn.slice(0, this.#runCount),
      runRow: this.#runRow.slice(0, this.#runCount),
      runCount: this.#runCount,
    };
  }

  swapEntries(): Float64Array {
    return this.#swap.slice(0, this.#swapCount);
  }

  /** Virtual page number of each swap entry. */
  swapVpns(): Float64Array {
    return this.#swapVpn.slice(0, this.#swapCount);
  }

  #addSwap(low: number, high: number, vpn: number): void {
    const type = low & 31;
    if (type >= FIRST_SPECIAL_SWAP_TYPE || (high & ENTRY_HIGH.guard) !== 0) {
      this.specialEntries++;
      return;
    }
    if (this.#swapCount === this.#swap.length) {
      this.#swap = grown(this.#swap, new Float64Array(this.#swapCount * 2));
      this.#swapVpn = grown(this.#swapVpn, new Float64Array(this.#swapCount * 2));
    }
    const slot = (high & ENTRY_HIGH.frame) * (TWO_32 / 32) + (low >>> 5);
    this.#swapVpn[this.#swapCount] = vpn;
    this.#swap[this.#swapCount++] = type * SWAP_TYPE_SCALE + slot;
  }

  #startRun(vpn: number, row: number): void {
    if (this.#runCount === this.#runVpn.length) {
      this.#runVpn = grown(this.#runVpn, new Float64Array(this.#runCount * 2));
      this.#runRow = grown(this.#runRow, new Uint32Array(this.#runCount * 2));
    }
    this.#runVpn[this.#runCount] = vpn;
    this.#runRow[this.#runCount++] = row;
  }

  #reserve(length: number): void {
    if (length <= this.#pfn.length) return;
    const capacity = Math.max(length, this.#pfn.length * 2);
    this.#pfn = grown(this.#pfn, new Uint32Array(capacity));
    this.#flags = grown(this.#flags, new Uint8Array(capacity));
  }
}

/** Whether the same virtual pages are present in both. */
function haveSameLayout(left: PageRows, right: PageRows): boolean {
  if (left.length !== right.length || left.runCount !== right.runCount) return false;
  for (let run = 0; run < left.runCount; run++) {
    if (left.runVpn[run] !== right.runVpn[run] || left.runRow[run] !== right.runRow[run]) {
      return false;
    }
  }
  return true;
}

function differingFrames(left: PageRows, right: PageRows): number {
  let differing = 0;
  for (let row = 0; row < left.length; row++) if (left.pfn[row] !== right.pfn[row]) differing++;
  return differing;
}

/**
 * Number of pages that differ between two readings of one process: present in one only, or in
 * both with another frame. A page is compared with the page at the same address.
 */
export function differingPages(before: PageRows, after: PageRows): number {
  if (haveSameLayout(before, after)) return differingFrames(before, after);
  let differing = 0;
  let left = 0;
  let right = 0;
  let leftRun = 0;
  let rightRun = 0;
  while (left < before.length && right < after.length) {
    while (leftRun + 1 < before.runCount && (before.runRow[leftRun + 1] ?? 0) <= left) leftRun++;
    while (rightRun + 1 < after.runCount && (after.runRow[rightRun + 1] ?? 0) <= right) rightRun++;
    const leftVpn = (before.runVpn[leftRun] ?? 0) + left - (before.runRow[leftRun] ?? 0);
    const rightVpn = (after.runVpn[rightRun] ?? 0) + right - (after.runRow[rightRun] ?? 0);
    if (leftVpn === rightVpn) {
      if (before.pfn[left] !== after.pfn[right]) differing++;
      left++;
      right++;
    } else {
      differing++;
      if (leftVpn < rightVpn) left++;
      else right++;
    }
  }
  return differing + (before.length - left) + (after.length - right);
}
