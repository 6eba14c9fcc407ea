/** Short forms of the operations that most sequences begin with. Process 0 unless given. */
import type { Operation } from '../../src/kernel/operation.js';

export function mapped(at: number, n: number): Operation[] {
  return [{ op: 'mmap', p: 0, at, n, prot: 'rw', flags: 'private|anon' }];
}

/** Private memory that holds 7 everywhere. */
export function written(at: number, n: number): Operation[] {
  return [...mapped(at, n), { op: 'write', p: 0, at, n, v: 7 }];
}

/** Forks in order, each as parent and child. */
export function forks(...pairs: ReadonlyArray<readonly [number, number]>): Operation[] {
  return pairs.map(([p, c]) => ({ op: 'fork', p, c }));
}

/** Sixteen pages in one folio, written. */
export function largeFolio(at: number, v = 7): Operation[] {
  return [
    { op: 'config', key: 'mthp.64kB', value: 'always' },
    ...mapped(at, 16),
    { op: 'write', p: 0, at, n: 16, v },
  ];
}

/** 512 pages in one folio, mapped by one entry. */
export function hugeFolio(at: number): Operation[] {
  return [
    { op: 'config', key: 'thp', value: 'always' },
    ...mapped(at, 512),
    { op: 'write', p: 0, at, n: 512, v: 7 },
  ];
}

/** The operations in the memory group that `reclaim` empties. */
export function inGroup(...operations: Operation[]): Operation[] {
  return [{ op: 'memcg', p: 0, on: 1 }, ...operations, { op: 'memcg', p: 0, on: 0 }];
}
