/**
 * Goal: a fault that holds nothing but the lock of its VMA, beside a call that changes VMAs, leaves
 * what one of them after the other would leave. Method: either is interrupted once, at each of its
 * points in turn, and the other runs meanwhile as far as locks let it; every invariant must hold.
 */
import { describe, expect, test } from 'vitest';
import { CONTENT_INVARIANT } from '../src/check/shadow/shadow_scan.js';
import type { Operation } from '../src/kernel/operation.js';
import { explore, type Race } from './mutants/race.js';
import { forks, mapped, written } from './mutants/steps.js';

/** Pages 0–3 have an anon_vma; 4–7 lie beside them in a VMA of their own, and have none. */
const NEIGHBOURS: readonly Operation[] = [
  ...written(0, 4),
  { op: 'mmap', p: 0, at: 4, n: 4, prot: 'rwx', flags: 'private|anon' },
  ...mapped(8, 1),
];
/** The same with pages of a file and pages shared with a child. */
const SHARED: readonly Operation[] = [
  ...written(0, 8),
  { op: 'file', id: 'f', n: 4, kind: 'memfd' },
  { op: 'filewrite', file: 'f', at: 0, n: 4, v: 5 },
  { op: 'mmap', p: 0, at: 8, n: 4, prot: 'rw', flags: 'private', file: 'f', off: 0 },
  ...forks([0, 1]),
];

const FIRST_TOUCH = { op: 'write', p: 0, at: 4, n: 1, v: 8 } as const;
const COPY = { op: 'write', p: 0, at: 5, n: 1, v: 8 } as const;
const FILE_COPY = { op: 'write', p: 0, at: 9, n: 1, v: 8 } as const;
const READ = { op: 'read', p: 0, at: 6, n: 1 } as const;
const LARGE = { op: 'config', key: 'mthp.64kB', value: 'always' } as const;
const THP = { op: 'config', key: 'thp', value: 'always' } as const;
const HUGETLB: readonly Operation[] = [
  { op: 'config', key: 'hugetlb', value: 4 },
  { op: 'mmap', p: 0, at: 0, n: 512, prot: 'rw', flags: 'private|anon|hugetlb' },
];
/** A private mapping of a cached page of a file, which needs no anon_vma before it is copied. */
const HUGETLB_FILE: readonly Operation[] = [
  { op: 'config', key: 'hugetlb', value: 4 },
  { op: 'file', id: 'h', n: 512, kind: 'memfd_hugetlb' },
  { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw', flags: 'shared', file: 'h', off: 0 },
  { op: 'write', p: 0, at: 512, n: 1, v: 7 },
  { op: 'mmap', p: 0, at: 0, n: 512, prot: 'rw', flags: 'private', file: 'h', off: 0 },
  READ,
];
const UFFD: readonly Operation[] = [
  ...mapped(0, 8),
  { op: 'uffd_register', p: 0, at: 4, n: 4, mode: 'wp' },
];
const FILL = { op: 'uffd_copy', p: 0, at: 4, n: 1, v: 8 } as const;
const DONTNEED = { op: 'madvise', p: 0, at: 6, n: 2, advice: 'dontneed' } as const;

function write(at: number): Operation {
  return { op: 'write', p: 0, at, n: 1, v: 8 };
}

/** Calls that change VMAs: the one that faults, its neighbours, or all. */
const CHANGES: ReadonlyArray<readonly [string, Operation]> = [
  ['munmap of a neighbour', { op: 'munmap', p: 0, at: 0, n: 4 }],
  ['munmap of a part', { op: 'munmap', p: 0, at: 7, n: 1 }],
  ['mprotect that merges', { op: 'mprotect', p: 0, at: 0, n: 4, prot: 'rwx' }],
  ['mprotect that splits', { op: 'mprotect', p: 0, at: 7, n: 1, prot: 'r' }],
  ['mmap that grows', { op: 'mmap', p: 0, at: 12, n: 4, prot: 'rw', flags: 'private|anon' }],
  ['mremap that moves', { op: 'mremap', p: 0, at: 0, n: 4, new: 4, to: 100, flags: 'fixed' }],
  ['mremap that shrinks', { op: 'mremap', p: 0, at: 4, n: 4, new: 3, flags: 'none' }],
  ['fork', { op: 'fork', p: 0, c: 2 }],
  ['a flag of a part', { op: 'madvise', p: 0, at: 4, n: 3, advice: 'dontfork' }],
  ['mlock', { op: 'mlock', p: 0, at: 4, n: 4 }],
  ['clear_refs', { op: 'clear_refs', p: 0, what: 'all' }],
];
const FAULTS: ReadonlyArray<readonly [string, readonly Operation[], Operation]> = [
  ['first touch', NEIGHBOURS, FIRST_TOUCH],
  ['copy', SHARED, COPY],
  ['copy of a file page', SHARED, FILE_COPY],
  ['read', NEIGHBOURS, READ],
  ['dontneed', SHARED, DONTNEED],
];
const PAIRS = FAULTS.flatMap(([fault, setUp, access]) =>
  CHANGES.map(([change, call]) => ({ name: `${fault}, ${change}`, setUp, access, call })),
);

/** Faults of two threads on one page, and fills of a userfaultfd: only one of them may map it. */
const TWINS: ReadonlyArray<readonly [string, readonly Operation[], Operation, Operation]> = [
  ['first touch', NEIGHBOURS, FIRST_TOUCH, FIRST_TOUCH],
  ['first touch of a large folio', [LARGE, ...mapped(16, 16)], write(20), write(21)],
  ['copy', SHARED, COPY, COPY],
  ['copy of a file page', SHARED, FILE_COPY, FILE_COPY],
  ['write to the zero page', [...mapped(0, 8), READ], write(6), write(6)],
  ['huge page', [THP, ...mapped(0, 512)], COPY, write(7)],
  ['huge page, read and written', [THP, ...mapped(0, 512)], READ, COPY],
  ['huge zero page', [THP, ...mapped(0, 512), READ], COPY, COPY],
  ['hugetlb', HUGETLB, COPY, COPY],
  ['copy of hugetlb', HUGETLB_FILE, COPY, COPY],
  ['fill', UFFD, FILL, FILL],
  ['fill and fault', UFFD, write(4), FILL],
];

/** What is broken in any order. The first may have so few points only where it waits for a lock. */
async function problemsOf(race: Race): Promise<string[]> {
  const { problems, orders } = await explore(race, []);
  expect(orders).toBeGreaterThan(3);
  return problems;
}

describe('a fault beside a change of VMAs', () => {
  test.each(PAIRS)('$name', async ({ name, setUp, access, call }) => {
    const pair = { name, edits: [], setUp, broken: '' };
    expect(await problemsOf({ ...pair, first: access, second: [call] })).toEqual([]);
    const problems = await problemsOf({ ...pair, first: call, second: [access] });
    // A write between a fork's last unlock and its return comes after it, though it returns before.
    const isFork = call.op === 'fork';
    expect(problems.filter((text) => !(isFork && text.includes(CONTENT_INVARIANT)))).toEqual([]);
  });
});

describe('two faults on one page', () => {
  test.each(TWINS)('%s', async (name, setUp, first, second) => {
    const race = { name, edits: [], setUp, broken: '', first, second: [second] };
    expect(await problemsOf(race)).toEqual([]);
  });
});
