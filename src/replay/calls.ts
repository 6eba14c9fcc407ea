import { PAGE_SIZE_BYTES } from '../base/units.js';
import type { MadviseAdvice, Operation, Prot } from '../kernel/operation.js';
import type { ReplayProcess } from './tasks.js';
import type { CallRecord } from './steps.js';

/** Advice codes of madvise(2). */
const ADVICE: ReadonlyMap<number, MadviseAdvice> = new Map([
  [0, 'normal'],
  [1, 'random'],
  [2, 'sequential'],
  [3, 'willneed'],
  [4, 'dontneed'],
  [8, 'free'],
  [9, 'remove'],
  [10, 'dontfork'],
  [11, 'dofork'],
  [12, 'mergeable'],
  [13, 'unmergeable'],
  [14, 'hugepage'],
  [15, 'nohugepage'],
  [16, 'dontdump'],
  [17, 'dodump'],
  [18, 'wipeonfork'],
  [19, 'keeponfork'],
  [20, 'cold'],
  [21, 'pageout'],
  [22, 'populate_read'],
  [23, 'populate_write'],
  [24, 'dontneed_locked'],
  [25, 'collapse'],
  [102, 'guard_install'],
  [103, 'guard_remove'],
]);

const MAP_TYPE_MASK = 0xf;
const MAP_PRIVATE = 2;
/** Anonymous memory of one process that the kernel may drop: empty in a child. */
const MAP_DROPPABLE = 8;
const MAP_FLAG_WORDS: ReadonlyArray<readonly [number, string]> = [
  [0x100, 'growsdown'],
  [0x2000, 'locked'],
  [0x4000, 'noreserve'],
  [0x8000, 'populate'],
  [0x20000, 'stack'],
];
const MAP_HUGETLB = 0x40000;
/** Where flags of mappings, memfds and segments hold the logarithm of the huge page size. */
const HUGE_SHIFT = 26;
const HUGE_MASK = 0x3f;
const LOG_GIB = 30;
const MAP_ANONYMOUS = 0x20;
/** Without effect since long; those who load programs and libraries set it still. */
const MAP_DENYWRITE = 0x800;
const EPERM = 1;
const MREMAP_DONTUNMAP = 4;
const MLOCK_ONFAULT = 1;
const PR_SET_MEMORY_MERGE = 67;
const MCL_WORDS: ReadonlyArray<readonly [number, string]> = [
  [1, 'current'],
  [2, 'future'],
  [4, 'onfault'],
];

/** What a call needs to know about files. */
export interface CallFiles {
  /**
   * Machine file behind a descriptor that is mapped from an offset on; made if it is new. Loaders
   * of programs map files that they have just opened.
   */
  fileToMap(
    process: ReplayProcess,
    descriptor: number,
    offsetPages: number,
    isLoader: boolean,
    atPage: number,
  ): string;
  /** Machine file behind a descriptor whose length changes; made if it is new. */
  fileToResize(process: ReplayProcess, descriptor: number): string;
  /** A new shared segment of a length. */
  segment(id: number): { readonly file: string; readonly lengthPages: number } | undefined;
}

/** Page number of an address. */
export function pageOf(address: number): number {
  return Math.floor(address / PAGE_SIZE_BYTES);
}

/** Pages that a length covers, rounded up. */
export function pagesOf(lengthBytes: number): number {
  return Math.ceil(lengthBytes / PAGE_SIZE_BYTES);
}

/** Protection letters of PROT_* bits. */
export function protLetters(bits: number): Prot {
  const letters = `${(bits & 1) === 0 ? '' : 'r'}${(bits & 2) === 0 ? '' : 'w'}${(bits & 4) === 0 ? '' : 'x'}`;
  return letters === '' ? 'n' : (letters as Prot);
}

/** The operations that a returned call stands for; none if it changes nothing. */
export function operationsOfCall(
  process: ReplayProcess,
  call: CallRecord,
  files: CallFiles,
): readonly Operation[] {
  const operation = operationOfCall(process, call, files);
  if (operation === undefined) return [];
  const [, , , flags = 0] = call.args;
  if (operation.op !== 'mmap' || call.name !== 'mmap' || mapType(flags) !== MAP_DROPPABLE) {
    return [operation];
  }
  const { p, at = 0, n } = operation;
  return [operation, { op: 'madvise', p, at, n, advice: 'wipeonfork' }];
}

/**
 * The operation that a returned call stands for, or undefined if it changes nothing. Calls that
 * failed change nothing but for what precedes a hole.
 */
function operationOfCall(
  process: ReplayProcess,
  call: CallRecord,
  files: CallFiles,
): Operation | undefined {
  const p = process.pid;
  const [first = 0, second = 0, third = 0, fourth = 0] = call.args;
  const { returned } = call;
  // No right to lock, or sealed memory. What lies before that has changed, but nothing tells how
  // far, and calls are seldom about more than one VMA.
  if (returned === -EPERM) return undefined;
  const at = pageOf(first);
  const n = pagesOf(second);
  switch (call.name) {
    case 'mmap':
      return returned < 0 ? undefined : mmapOperation(process, call, files);
    case 'munmap':
      return returned < 0 ? undefined : { op: 'munmap', p, at, n };
    case 'mprotect':
    case 'pkey_mprotect':
      return { op: 'mprotect', p, at, n, prot: protLetters(third) };
    case 'mremap': {
      if (returned < 0) return undefined;
      const to = pageOf(returned);
      const isMoved = to !== at;
      const keeps = (fourth & MREMAP_DONTUNMAP) === 0 ? '' : '|dontunmap';
      const flags = isMoved ? `fixed${keeps}` : 'none';
      return { op: 'mremap', p, at, n, new: pagesOf(third), to, flags };
    }
    case 'brk':
      return brkOperation(process, returned);
    case 'madvise':
      return madviseOperation(p, at, n, third, returned);
    case 'mlock':
      return { op: 'mlock', p, at, n: lockPages(first, second) };
    case 'mlock2': {
      const onfault = (third & MLOCK_ONFAULT) === 0 ? 0 : 1;
      return { op: 'mlock', p, at, n: lockPages(first, second), onfault };
    }
    case 'munlock':
      return { op: 'munlock', p, at, n: lockPages(first, second) };
    case 'mlockall': {
      const flags = words(first, MCL_WORDS).join('|');
      return returned < 0 ? undefined : { op: 'mlockall', p, flags };
    }
    case 'munlockall':
      return { op: 'munlockall', p };
    case 'prctl':
      if (first !== PR_SET_MEMORY_MERGE || returned < 0) return undefined;
      return { op: 'prctl_merge', p, on: second };
    case 'shmat': {
      const segment = files.segment(first);
      if (returned < 0 || segment === undefined) return undefined;
      const start = pageOf(returned);
      process.segments.set(start, segment.lengthPages);
      const flags = 'shared|fixed';
      const { file, lengthPages } = segment;
      return { op: 'mmap', p, at: start, n: lengthPages, prot: 'rw', flags, file, off: 0 };
    }
    case 'shmdt': {
      const lengthPages = process.segments.get(at);
      if (returned < 0 || lengthPages === undefined) return undefined;
      return { op: 'munmap', p, at, n: lengthPages };
    }
    case 'ftruncate':
      if (returned < 0) return undefined;
      return { op: 'ftruncate', file: files.fileToResize(process, first), n: pagesOf(second) };
    case 'fallocate': {
      const punches = (second & 2) !== 0;
      if (returned < 0 || !punches) return undefined;
      const file = files.fileToResize(process, first);
      return { op: 'punch', file, at: pagesOf(third), n: pageOf(fourth) };
    }
    default:
      return undefined;
  }
}

/** The kernel rounds the address down and the end up. */
function lockPages(address: number, lengthBytes: number): number {
  return pagesOf((address % PAGE_SIZE_BYTES) + lengthBytes);
}

function words(bits: number, table: ReadonlyArray<readonly [number, string]>): string[] {
  return table.filter(([bit]) => (bits & bit) !== 0).map(([, word]) => word);
}

function mapType(flags: number): number {
  return flags & MAP_TYPE_MASK;
}

function mmapOperation(process: ReplayProcess, call: CallRecord, files: CallFiles): Operation {
  const [, length = 0, prot = 0, flags = 0, descriptor = 0, offset = 0] = call.args;
  const isPrivate = mapType(flags) === MAP_PRIVATE || mapType(flags) === MAP_DROPPABLE;
  const isAnonymous = (flags & MAP_ANONYMOUS) !== 0;
  const flagWords = [
    isPrivate ? 'private' : 'shared',
    // The kernel chose the place: here it is given.
    'fixed',
    ...(isAnonymous ? ['anon'] : []),
    ...words(flags, MAP_FLAG_WORDS),
    ...((flags & MAP_HUGETLB) === 0 ? [] : [isGigantic(flags) ? 'hugetlb1g' : 'hugetlb']),
  ];
  const off = pageOf(offset);
  const isLoader = (flags & MAP_DENYWRITE) !== 0;
  const at = pageOf(call.returned);
  return {
    op: 'mmap',
    p: process.pid,
    at,
    n: pagesOf(length),
    prot: protLetters(prot),
    flags: flagWords.join('|'),
    ...(isAnonymous ? {} : { file: files.fileToMap(process, descriptor, off, isLoader, at), off }),
  };
}

/** Whether flags that ask for hugetlb memory ask for pages of 1 GiB. */
export function isGigantic(flags: number): boolean {
  return ((flags >>> HUGE_SHIFT) & HUGE_MASK) === LOG_GIB;
}

/** The first answer tells where the heap starts. */
function brkOperation(process: ReplayProcess, returned: number): Operation {
  const at = pagesOf(returned);
  if (process.hasHeap) return { op: 'brk', p: process.pid, at };
  process.hasHeap = true;
  return { op: 'brk_at', p: process.pid, at };
}

function madviseOperation(
  p: number,
  at: number,
  n: number,
  code: number,
  returned: number,
): Operation | undefined {
  const advice = ADVICE.get(code);
  if (advice === undefined) return undefined;
  // An advice that refuses a later VMA has changed the earlier ones; collapse is all or nothing.
  if (advice === 'collapse' && returned < 0) return undefined;
  // Pages that wait to be listed, or that others map, stay: reclaim says which ones went.
  if (advice === 'pageout') return undefined;
  return { op: 'madvise', p, at, n, advice };
}
