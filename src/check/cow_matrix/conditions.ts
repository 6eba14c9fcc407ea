/** How the memory under test is prepared: the conditions of the copy-on-write selftest. */
import { Machine } from '../../kernel/machine.js';
import type { Operation } from '../../kernel/operation.js';

/** Value that fills the region before, and the one that is written later. */
export const OLD = 1;
export const NEW = 2;

/** Page where regions start: aligned to 1 GiB. */
const REGION = 2 ** 18;
/** Where the upper half goes when a THP is partially moved. */
const MOVED = 3 * 2 ** 18 + 16;
/** A process that only shares part of the region with P. */
const THIRD = 7;
const MEMORY_PAGES = 2 ** 15;
const GIBIBYTE_MEMORY_PAGES = 6 * 2 ** 18;

/** A machine with the region ready: process 0 filled it with `OLD`. */
export interface Prepared {
  readonly machine: Machine;
  readonly at: number;
  readonly pages: number;
}

/** Performs operations that all must succeed. */
export function perform(machine: Machine, operations: readonly Operation[]): void {
  for (const operation of operations) {
    const { err } = machine.apply(operation);
    if (err !== undefined) throw new Error(`${operation.op} answers ${err}`);
  }
}

interface Shape {
  readonly pages: number;
  readonly isSwapped: boolean;
  readonly kind: 'base' | 'thp' | 'pte' | 'single' | 'moved' | 'shared' | 'hugetlb';
}

const PATTERNS: ReadonlyArray<readonly [RegExp, Shape['kind'], boolean]> = [
  [/^with base page$/, 'base', false],
  [/^with swapped out base page$/, 'base', true],
  [/^with THP \((\d+) kB\)$/, 'thp', false],
  [/^with swapped-out THP \((\d+) kB\)$/, 'thp', true],
  [/^with PTE-mapped THP \((\d+) kB\)$/, 'pte', false],
  [/^with swapped-out, PTE-mapped THP \((\d+) kB\)$/, 'pte', true],
  [/^with single PTE of THP \((\d+) kB\)$/, 'single', false],
  [/^with single PTE of swapped-out THP \((\d+) kB\)$/, 'single', true],
  [/^with partially mremap\(\)'ed THP \((\d+) kB\)$/, 'moved', false],
  [/^with partially shared THP \((\d+) kB\)$/, 'shared', false],
  [/^with hugetlb \((\d+) kB\)$/, 'hugetlb', false],
];

function shapeOf(condition: string): Shape {
  for (const [pattern, kind, isSwapped] of PATTERNS) {
    const match = pattern.exec(condition);
    if (match === null) continue;
    const kb = match[1] === undefined ? 4 : Number(match[1]);
    return { pages: kb / 4, isSwapped, kind };
  }
  throw new Error(`unknown condition: ${condition}`);
}

/** Prepares the anonymous memory that a condition describes. */
export function prepare(condition: string): Prepared {
  const shape = shapeOf(condition);
  const { pages, kind } = shape;
  const isGibibyte = kind === 'hugetlb' && pages > 512;
  const machine = new Machine({
    profile: { memoryPages: isGibibyte ? GIBIBYTE_MEMORY_PAGES : MEMORY_PAGES },
  });
  const at = REGION;
  if (shape.isSwapped) perform(machine, [{ op: 'swapon', kind: 'zram' }]);
  if (kind === 'hugetlb') {
    perform(machine, [
      { op: 'config', key: isGibibyte ? 'hugetlb1g' : 'hugetlb', value: 4 },
      mmap(at, pages, `private|anon|${isGibibyte ? 'hugetlb1g' : 'hugetlb'}`),
    ]);
  } else {
    if (kind !== 'base') enable(machine, pages);
    perform(machine, [mmap(at, pages, 'private|anon')]);
  }
  perform(machine, [{ op: 'write', p: 0, at, n: pages, v: OLD }]);
  if (pages === 512 && kind !== 'thp' && kind !== 'hugetlb') splitPmd(machine, at);
  return narrow(machine, at, shape);
}

function mmap(at: number, n: number, flags: string): Operation {
  return { op: 'mmap', p: 0, at, n, prot: 'rw', flags };
}

function enable(machine: Machine, pages: number): void {
  const key = pages === 512 ? 'thp' : `mthp.${pages * 4}kB`;
  perform(machine, [{ op: 'config', key, value: 'always' }]);
}

/** Maps the folio by PTEs without splitting it. */
function splitPmd(machine: Machine, at: number): void {
  perform(machine, [
    { op: 'mprotect', p: 0, at, n: 1, prot: 'r' },
    { op: 'mprotect', p: 0, at, n: 1, prot: 'rw' },
  ]);
}

/** Leaves the part of the folio that the condition is about. */
function narrow(machine: Machine, at: number, shape: Shape): Prepared {
  const { kind, isSwapped } = shape;
  let { pages } = shape;
  const rest = { p: 0, at: at + 1, n: pages - 1 };
  if (kind === 'single') {
    perform(machine, [{ op: 'munmap', ...rest }]);
    pages = 1;
  } else if (kind === 'moved') {
    const half = pages / 2;
    const to = MOVED;
    const upper = { p: 0, at: at + half, n: half, new: half };
    perform(machine, [{ op: 'mremap', ...upper, to, flags: 'fixed' }]);
    pages = half;
  } else if (kind === 'shared') {
    perform(machine, [
      { op: 'madvise', ...rest, advice: 'dontfork' },
      { op: 'fork', p: 0, c: THIRD },
      { op: 'madvise', ...rest, advice: 'dofork' },
      { op: 'exit', p: THIRD },
    ]);
  }
  if (isSwapped) perform(machine, [{ op: 'madvise', p: 0, at, n: pages, advice: 'pageout' }]);
  return { machine, at, pages };
}

/** Two private mappings of an object that is not anonymous memory, both read once. */
export interface PreparedPair extends Prepared {
  /** Second mapping, of the same length. */
  readonly otherAt: number;
  /** Value that an untouched page reads as. */
  readonly untouched: number;
}

/** Prepares the objects of the non-anonymous tests. */
export function preparePair(condition: string): PreparedPair {
  const isGibibyte = condition.includes('1048576');
  const isHugetlb = condition.includes('hugetlb');
  const pages = isGibibyte ? 2 ** 18 : isHugetlb || condition.includes('huge') ? 512 : 1;
  const machine = new Machine({
    profile: { memoryPages: isGibibyte ? GIBIBYTE_MEMORY_PAGES : MEMORY_PAGES },
  });
  const at = REGION;
  const otherAt = 2 * REGION;
  if (condition.includes('zeropage')) {
    if (pages === 512) perform(machine, [{ op: 'config', key: 'thp', value: 'always' }]);
    perform(machine, [mmap(at, pages, 'private|anon'), mmap(otherAt, pages, 'private|anon')]);
  } else {
    const kind = isGibibyte
      ? 'memfd_hugetlb1g'
      : isHugetlb
        ? 'memfd_hugetlb'
        : condition.includes('memfd')
          ? 'memfd'
          : 'tmp';
    if (isHugetlb) {
      const key = isGibibyte ? 'hugetlb1g' : 'hugetlb';
      perform(machine, [{ op: 'config', key, value: 4 }]);
    }
    perform(machine, [
      { op: 'file', id: 'f', n: pages, kind },
      { ...mmap(at, pages, 'private'), file: 'f', off: 0 } as Operation,
      { ...mmap(otherAt, pages, 'private'), file: 'f', off: 0 } as Operation,
    ]);
  }
  perform(machine, [
    { op: 'read', p: 0, at, n: pages },
    { op: 'read', p: 0, at: otherAt, n: pages },
  ]);
  return { machine, at, pages, otherAt, untouched: 0 };
}
