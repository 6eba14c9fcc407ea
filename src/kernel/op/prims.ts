/**
 * The declared points: every place where another CPU can come in (check build).
 *
 * A kernel function that locks, waits or touches a word without a lock returns `Op<T>` and marks
 * each such place with `yield*`. The strip removes `function*` and `yield*` for the fast build and
 * puts `prims_fast.ts` in the place of this file; both export the same names. A bare `yield` is
 * allowed in this file only.
 *
 * Lock order (a function that takes several takes them in this order):
 * mmap lock, VMA lock, folio lock, i_mmap lock, anon_vma lock, page-table lock, large-mapcount lock.
 */
import { fail } from '../../base/errors.js';

/** What a task is about to do at a point. */
export type PointKind =
  | 'acquireRead'
  | 'acquireWrite'
  | 'tryRead'
  | 'tryWrite'
  | 'releaseRead'
  | 'releaseWrite'
  | 'downgradeWrite'
  | 'read'
  | 'write'
  | 'update'
  | 'fence'
  | 'rcuLock'
  | 'rcuUnlock'
  | 'interruptsOff'
  | 'interruptsOn'
  | 'oracle';

/** One point: the kind, the lock or the name of the word, and for words which one of them. */
export interface Point {
  readonly kind: PointKind;
  readonly object: RwSem | string;
  readonly key: number;
}

/**
 * Whether another CPU can come in at the points of this build. Where none can, code may do the same
 * work in another order.
 */
export const canInterleave: boolean = true;

/** A kernel function that other CPUs can interleave with. In the fast build simply `T`. */
export type Op<T> = Generator<Point, T, unknown>;

/** A sleeping or spinning lock with readers and one writer. @kernel rw_semaphore */
export class RwSem {
  readonly name: string;
  /** Number of readers inside. */
  readers = 0;
  /** 1 while a writer is inside. */
  writers = 0;

  constructor(name: string) {
    this.name = name;
  }
}

function point(kind: PointKind, object: RwSem | string, key = 0): Point {
  return { kind, object, key };
}

/** Takes the lock exclusively; waits for readers and the writer. @kernel down_write */
export function* downWrite(sem: RwSem): Op<void> {
  yield point('acquireWrite', sem);
  if (sem.writers !== 0 || sem.readers !== 0) fail(`${sem.name} is taken for write while held`);
  sem.writers = 1;
}

/** @kernel up_write */
export function* upWrite(sem: RwSem): Op<void> {
  yield point('releaseWrite', sem);
  if (sem.writers !== 1) fail(`${sem.name} is released for write but not held`);
  sem.writers = 0;
}

/** The writer becomes a reader; no other writer comes in between. @kernel downgrade_write */
export function* downgradeWrite(sem: RwSem): Op<void> {
  yield point('downgradeWrite', sem);
  if (sem.writers !== 1) fail(`${sem.name} is downgraded but not held for write`);
  sem.writers = 0;
  sem.readers = 1;
}

/** Takes the lock shared; waits for the writer. @kernel down_read */
export function* downRead(sem: RwSem): Op<void> {
  yield point('acquireRead', sem);
  if (sem.writers !== 0) fail(`${sem.name} is taken for read while written`);
  sem.readers += 1;
}

/** @kernel up_read */
export function* upRead(sem: RwSem): Op<void> {
  yield point('releaseRead', sem);
  if (sem.readers < 1) fail(`${sem.name} is released for read but not held`);
  sem.readers -= 1;
}

/** Takes the lock shared unless a writer is inside. Returns whether it was taken. */
export function* downReadTrylock(sem: RwSem): Op<boolean> {
  yield point('tryRead', sem);
  if (sem.writers !== 0) return false;
  sem.readers += 1;
  return true;
}

/** Takes the lock exclusively unless somebody is inside. Returns whether it was taken. */
export function* downWriteTrylock(sem: RwSem): Op<boolean> {
  yield point('tryWrite', sem);
  if (sem.writers !== 0 || sem.readers !== 0) return false;
  sem.writers = 1;
  return true;
}

/** Declares a read of a word that others write without a common lock. */
export function* readPoint(word: string, key: number): Op<void> {
  yield point('read', word, key);
}

/** Declares a write of such a word. */
export function* writePoint(word: string, key: number): Op<void> {
  yield point('write', word, key);
}

/** Declares an atomic read-modify-write of such a word. */
export function* updatePoint(word: string, key: number): Op<void> {
  yield point('update', word, key);
}

/** A full memory barrier. @kernel smp_mb */
export function* fullBarrier(): Op<void> {
  yield point('fence', 'mb');
}

/** A read barrier. @kernel smp_rmb */
export function* readBarrier(): Op<void> {
  yield point('fence', 'rmb');
}

/** Enters a section during which freed objects keep their memory. @kernel rcu_read_lock */
export function* rcuReadLock(): Op<void> {
  yield point('rcuLock', 'rcu');
}

/** @kernel rcu_read_unlock */
export function* rcuReadUnlock(): Op<void> {
  yield point('rcuUnlock', 'rcu');
}

/** Disables interrupts: page tables are not freed until they are back on. @kernel local_irq_save */
export function* interruptsOff(): Op<void> {
  yield point('interruptsOff', 'irq');
}

/** @kernel local_irq_restore */
export function* interruptsOn(): Op<void> {
  yield point('interruptsOn', 'irq');
}

/** Runs an operation alone, without interleaving, to its end. */
export function runToEnd<T>(operation: Op<T>): T {
  for (;;) {
    const step = operation.next();
    if (step.done === true) return step.value;
  }
}
