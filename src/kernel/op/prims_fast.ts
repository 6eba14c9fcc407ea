/**
 * The declared points of the fast build: nothing can come in, so locks cost nothing.
 * Exports the same names as `prims.ts`; see there for what each point means.
 *
 * Try-locks look at the lock's state, which only a test (or a scheduler) sets here.
 */
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
export const canInterleave: boolean = false;

/** A kernel function that other CPUs can interleave with. Here simply its result. */
export type Op<T> = T;

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

/** Takes the lock exclusively; waits for readers and the writer. @kernel down_write */
export function downWrite(_sem: RwSem): void {}

/** @kernel up_write */
export function upWrite(_sem: RwSem): void {}

/** The writer becomes a reader; no other writer comes in between. @kernel downgrade_write */
export function downgradeWrite(_sem: RwSem): void {}

/** Takes the lock shared; waits for the writer. @kernel down_read */
export function downRead(_sem: RwSem): void {}

/** @kernel up_read */
export function upRead(_sem: RwSem): void {}

/** Takes the lock shared unless a writer is inside. Returns whether it was taken. */
export function downReadTrylock(sem: RwSem): boolean {
  return sem.writers === 0;
}

/** Takes the lock exclusively unless somebody is inside. Returns whether it was taken. */
export function downWriteTrylock(sem: RwSem): boolean {
  return sem.writers === 0 && sem.readers === 0;
}

/** Declares a read of a word that others write without a common lock. */
export function readPoint(_word: string, _key: number): void {}

/** Declares a write of such a word. */
export function writePoint(_word: string, _key: number): void {}

/** Declares an atomic read-modify-write of such a word. */
export function updatePoint(_word: string, _key: number): void {}

/** A full memory barrier. @kernel smp_mb */
export function fullBarrier(): void {}

/** A read barrier. @kernel smp_rmb */
export function readBarrier(): void {}

/** Enters a section during which freed objects keep their memory. @kernel rcu_read_lock */
export function rcuReadLock(): void {}

/** @kernel rcu_read_unlock */
export function rcuReadUnlock(): void {}

/** Disables interrupts: page tables are not freed until they are back on. @kernel local_irq_save */
export function interruptsOff(): void {}

/** @kernel local_irq_restore */
export function interruptsOn(): void {}

/** Runs an operation alone, without interleaving, to its end. */
export function runToEnd<T>(result: Op<T>): T {
  return result;
}
