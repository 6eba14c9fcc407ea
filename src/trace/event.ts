/**
 * The event model of a recording: batches of columns, one row per event, in the order of the
 * recording. No object per event, so that 10^7 events stream in bounded memory.
 */

/** Kinds of events. The numbers are in-memory only; files name kinds by `EVENT_NAMES`. */
export const EVENT = {
  /** A page fault from user mode, at exception entry. */
  faultUser: 0,
  /** A page fault from kernel mode, at exception entry. */
  faultKernel: 1,
  /** Entry of a system call. */
  callEnter: 2,
  /** Exit of a system call. */
  callExit: 3,
  /** A new task, emitted by its parent after the memory was copied. */
  newTask: 4,
  /** Point of no return of execve: the new mm is installed after it. */
  prepareExec: 5,
  /** The new image is mapped. */
  exec: 6,
  /** A task exits; on 6.18 before its mm is torn down. */
  exit: 7,
  /** End of the teardown of an mm. */
  exitMm: 8,
  /** A task got a new name. */
  rename: 9,
  /** New total of one memory counter of one mm. */
  rss: 10,
  /** A movable page was allocated. */
  pageAlloc: 11,
  /** A page was freed. */
  pageFree: 12,
  /** `mmap_lock` acquired for writing. */
  lock: 13,
  /** `mmap_lock` released by its writer. */
  unlock: 14,
  /** Text written by the recorder, such as `SNAP loaded`. */
  mark: 15,
  /** Any other kernel event, with named fields. */
  other: 16,
  /** Events of one CPU are missing just before this point. */
  lost: 17,
  /** A mapping that a tool reported as such (perf MMAP2); no system call. */
  mapped: 18,
} as const;

export type EventKind = (typeof EVENT)[keyof typeof EVENT];

/** Name of each kind, indexed by its number; used in files and in messages. */
export const EVENT_NAMES = Object.keys(EVENT) as ReadonlyArray<keyof typeof EVENT>;

export const EVENT_KIND_COUNT = EVENT_NAMES.length;

/**
 * Consecutive events as columns of equal length. A batch is immutable and stays valid after the
 * next one was read.
 *
 * Meaning of `text` (a row of the recording's string table, −1 = none) and of `a` … `f`:
 *
 * | kind | text | a | b | c | d | e | f |
 * |---|---|---|---|---|---|---|---|
 * | faultUser, faultKernel | – | address | error code (−1: unknown) | instruction pointer | | | |
 * | callEnter | system call | 1st argument | 2nd | 3rd | 4th | 5th | 6th |
 * | callExit | system call | return value; −errno as a number | | | | | |
 * | newTask | comm of the child | tid of the child | clone flags | | | | |
 * | prepareExec | file | | | | | | |
 * | exec | file | tid | tid before | | | | |
 * | exit | comm | tid | 1 if the last thread of its process, −1 if unknown | | | | |
 * | exitMm, lock, unlock | – | mm (word) | | | | | |
 * | rename | new comm | tid | | | | | |
 * | rss | – | mm id (hash) | 1 if the mm is that of `tid` | member | pages | | |
 * | pageAlloc | – | pfn | order | gfp flags | | | |
 * | pageFree | – | pfn | order | | | | |
 * | mark | the text | | | | | | |
 * | other | event name | the fields, in the order of `Recording.fields` | | | | | |
 * | lost | – | number of events, −1 if unknown | | | | | |
 * | mapped | file name | start address | length in bytes | prot bits | 1 if shared | file offset | pid |
 *
 * Unused cells are 0. Addresses, lengths and offsets are bytes. Values are *words*: see
 * `isInternedWord`.
 */
export interface EventBatch {
  /** Number of the first event, counted from the start of the recording. */
  readonly firstIndex: number;
  readonly length: number;
  /** `EventKind` of each row. */
  readonly kind: Uint8Array;
  /** Nanoseconds since the first event of the recording. */
  readonly timeNs: Float64Array;
  readonly cpu: Uint16Array;
  /** Thread that was running, in the initial PID name space. */
  readonly tid: Int32Array;
  /** Row of the string table, or −1. */
  readonly text: Int32Array;
  readonly a: Float64Array;
  readonly b: Float64Array;
  readonly c: Float64Array;
  readonly d: Float64Array;
  readonly e: Float64Array;
  readonly f: Float64Array;
}

/** Members of the `rss` event. */
export const RSS_MEMBER = { file: 0, anon: 1, swapEntries: 2, shmem: 3 } as const;

/** Bits of a page-fault error code. */
export const FAULT_ERROR = {
  /** The page was present: a protection fault. */
  present: 1,
  write: 2,
  user: 4,
  instruction: 16,
  protectionKey: 32,
} as const;

/** Bits of the clone flags of `newTask`. */
export const CLONE_FLAG = { vm: 0x100, vfork: 0x4000, thread: 0x10000 } as const;

/** Most negative number that stands for itself in a column (−errno, −1, AT_FDCWD). */
const SMALLEST_LITERAL = -4096;

/**
 * 64-bit words in columns of doubles: a word from −4096 (as signed) up to 2^53 is itself; every
 * other word (kernel pointers, hashes, page-table entries) is interned in the recording's word
 * table and stands in the column as −4097 − row. Equal words have equal cells, so a cell is a fit
 * map key either way.
 */
export function isInternedWord(cell: number): boolean {
  return cell < SMALLEST_LITERAL;
}

/** Row of the word table of an interned cell. */
export function wordRow(cell: number): number {
  return SMALLEST_LITERAL - 1 - cell;
}

/** Cell that stands for a row of the word table. */
export function wordCell(row: number): number {
  return SMALLEST_LITERAL - 1 - row;
}

/** What a mark says: the begin or end of a snapshot, or `undefined` for any other text. */
export function snapshotMark(text: string): { name: string; ends: boolean } | undefined {
  if (text.startsWith('SNAP ')) return { name: text.slice(5), ends: false };
  if (text.startsWith('SNAPEND ')) return { name: text.slice(8), ends: true };
  return undefined;
}

/** Name, before a number, of a snapshot of processes that joined while others were recorded. */
export const JOIN_SNAPSHOT = 'join';
