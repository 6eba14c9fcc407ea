import { closeSync, openSync, readSync } from 'node:fs';

/** Bits of /proc/kpageflags that are used here. */
export const FRAME_FLAG = {
  lru: 1 << 5,
  active: 1 << 6,
  slab: 1 << 7,
  writeback: 1 << 8,
  buddy: 1 << 10,
  mmapped: 1 << 11,
  anonymous: 1 << 12,
  swapCache: 1 << 13,
  swapBacked: 1 << 14,
  compoundHead: 1 << 15,
  compoundTail: 1 << 16,
  hugetlb: 1 << 17,
  unevictable: 1 << 18,
  poisoned: 1 << 19,
  noPage: 1 << 20,
  ksm: 1 << 21,
  thp: 1 << 22,
  offline: 1 << 23,
  zeroPage: 1 << 24,
} as const;

const WORD_BYTES = 8;
const SEGMENT_BITS = 16;
const SEGMENT_FRAMES = 1 << SEGMENT_BITS;
const READ_FRAMES = 8192;
/** Reading a frame costs 0.1 µs in the kernel, a system call from here 2.5 µs. */
const GAP_FRAMES = 24;

/** A set of page frames that lists its members in order. One bit per frame, by segments. */
export class FrameSet {
  readonly #segments: (Uint32Array | undefined)[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(pfn: number): void {
    const segment = this.#segments[pfn >>> SEGMENT_BITS] ?? this.#newSegment(pfn);
    const word = (pfn & (SEGMENT_FRAMES - 1)) >>> 5;
    const bit = 1 << (pfn & 31);
    const before = segment[word] ?? 0;
    if ((before & bit) !== 0) return;
    segment[word] = before | bit;
    this.#size++;
  }

  has(pfn: number): boolean {
    const segment = this.#segments[pfn >>> SEGMENT_BITS];
    if (segment === undefined) return false;
    return ((segment[(pfn & (SEGMENT_FRAMES - 1)) >>> 5] ?? 0) & (1 << (pfn & 31))) !== 0;
  }

  sorted(): Uint32Array {
    const frames = new Uint32Array(this.#size);
    let length = 0;
    for (const [number, segment] of this.#segments.entries()) {
      if (segment === undefined) continue;
      for (let word = 0; word < segment.length; word++) {
        let bits = segment[word] ?? 0;
        while (bits !== 0) {
          const bit = 31 - Math.clz32(bits & -bits);
          frames[length++] = number * SEGMENT_FRAMES + word * 32 + bit;
          bits &= bits - 1;
        }
      }
    }
    return frames;
  }

  #newSegment(pfn: number): Uint32Array {
    const number = pfn >>> SEGMENT_BITS;
    const segment = new Uint32Array(SEGMENT_FRAMES / 32);
    while (this.#segments.length < number) this.#segments.push(undefined);
    this.#segments[number] = segment;
    return segment;
  }
}

/** Finds the row of a frame in a sorted list in constant time. Four bytes per frame, by segments. */
export class FrameIndex {
  readonly #segments: (Int32Array | undefined)[] = [];

  constructor(sortedPfns: Uint32Array) {
    for (let row = 0; row < sortedPfns.length; row++) {
      const pfn = sortedPfns[row] ?? 0;
      const number = pfn >>> SEGMENT_BITS;
      let segment = this.#segments[number];
      if (segment === undefined) {
        segment = new Int32Array(SEGMENT_FRAMES).fill(-1);
        while (this.#segments.length < number) this.#segments.push(undefined);
        this.#segments[number] = segment;
      }
      segment[pfn & (SEGMENT_FRAMES - 1)] = row;
    }
  }

  /** Row of a frame, or −1. */
  find(pfn: number): number {
    return this.#segments[pfn >>> SEGMENT_BITS]?.[pfn & (SEGMENT_FRAMES - 1)] ?? -1;
  }
}

/**
 * One of /proc/kpagecount, kpageflags, kpagecgroup: an array of 64-bit words indexed by pfn.
 * Needs CAP_SYS_ADMIN in the initial user name space: opening throws EACCES or EPERM otherwise.
 */
export class FrameFile {
  readonly #fd: number;
  readonly #words = new Uint32Array(READ_FRAMES * 2);
  readonly #bytes = new Uint8Array(this.#words.buffer);

  constructor(name: 'kpagecount' | 'kpageflags' | 'kpagecgroup') {
    this.#fd = openSync(`/proc/${name}`, 'r');
  }

  /** Lower 32 bits of the word of each frame; frames must ascend. 0 where there is no frame. */
  read(pfns: Uint32Array): Uint32Array {
    const result = new Uint32Array(pfns.length);
    let index = 0;
    while (index < pfns.length) {
      const first = pfns[index] ?? 0;
      let end = index + 1;
      let last = first;
      for (; end < pfns.length; end++) {
        const next = pfns[end] ?? 0;
        if (next - last > GAP_FRAMES || next - first >= READ_FRAMES) break;
        last = next;
      }
      const count = this.#readRange(first, last - first + 1);
      for (; index < end; index++) {
        const offset = (pfns[index] ?? 0) - first;
        if (offset < count) result[index] = this.#words[2 * offset] ?? 0;
      }
    }
    return result;
  }

  /** Lower 32 bits of the word of one frame. */
  readOne(pfn: number): number {
    return this.#readRange(pfn, 1) === 1 ? (this.#words[0] ?? 0) : 0;
  }

  close(): void {
    closeSync(this.#fd);
  }

  #readRange(pfn: number, count: number): number {
    const bytes = readSync(this.#fd, this.#bytes, 0, count * WORD_BYTES, pfn * WORD_BYTES);
    return Math.floor(bytes / WORD_BYTES);
  }
}
