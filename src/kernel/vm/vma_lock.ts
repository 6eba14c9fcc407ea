/**
 * The lock of a single VMA (spec 10 §3 and §8, 30 §1, 40 §11).
 *
 * A fault holds it for reading in place of the mmap lock, as do calls that change the pages of one
 * VMA only. Who changes a VMA holds the mmap lock for write and locks the VMA for write, which
 * waits for those inside. It is locked until the mmap lock is let go: `Mm.lockSequence` moves on
 * then, so no VMA has to be unlocked. Which calls lock which VMAs was asked of the running kernel
 * (`vm_lock_seq` against `mm_lock_seq` after each call, and the tracepoints of the mmap lock).
 */
import { fail } from '../../base/errors.js';
import {
  canInterleave,
  downgradeWrite,
  downReadTrylock,
  downWrite,
  rcuReadLock,
  rcuReadUnlock,
  readPoint,
  upRead,
  upWrite,
  writePoint,
  type Op,
} from '../op/prims.js';
import { findVma, type Mm } from './mm.js';
import type { Vma } from './vma.js';

/** The word that readers look at without a lock. */
const MM_LOCK_SEQUENCE = 'mm_lock_seq';

/** Takes the mmap lock for write; VMAs can be locked now. @kernel mmap_write_lock */
export function* mmapWriteLock(mm: Mm): Op<void> {
  yield* downWrite(mm.mmapLock);
  yield* nextSequence(mm);
}

/** Lets go of the mmap lock and of all VMAs. @kernel mmap_write_unlock @kernel vma_end_write_all */
export function* mmapWriteUnlock(mm: Mm): Op<void> {
  yield* nextSequence(mm);
  yield* upWrite(mm.mmapLock);
}

/** Keeps the mmap lock for reading, and lets go of all VMAs. @kernel mmap_write_downgrade */
export function* mmapWriteDowngrade(mm: Mm): Op<void> {
  yield* nextSequence(mm);
  yield* downgradeWrite(mm.mmapLock);
}

/** The sequence is odd while the mmap lock is held for write. */
function* nextSequence(mm: Mm): Op<void> {
  yield* writePoint(MM_LOCK_SEQUENCE, mm.id);
  mm.lockSequence += 1;
}

/** Whether the holder of the mmap lock has locked the VMA. @kernel __is_vma_write_locked */
export function isVmaWriteLocked(vma: Vma): boolean {
  return vma.lockSequence === vma.mm.lockSequence;
}

/**
 * Locks a VMA until the mmap lock, held for write, is let go: waits for the faults inside.
 * @kernel vma_start_write
 */
export function* vmaStartWrite(vma: Vma): Op<void> {
  const { mm } = vma;
  if (mm.lockSequence % 2 === 0) fail(`a VMA of mm ${mm.id} is locked without the mmap lock`);
  if (isVmaWriteLocked(vma)) return;
  yield* downWrite(vma.lock);
  vma.lockSequence = mm.lockSequence;
  yield* upWrite(vma.lock);
}

/** A new VMA, which nobody can have found yet, is locked before it can be. */
export function lockNewVma(vma: Vma): void {
  const { mm } = vma;
  if (mm.lockSequence % 2 === 0) fail(`a VMA comes into mm ${mm.id} without the mmap lock`);
  vma.lockSequence = mm.lockSequence;
}

/** What must not happen to a VMA that is not locked for write. @kernel vma_assert_write_locked */
export function assertVmaWriteLocked(vma: Vma): void {
  if (!isVmaWriteLocked(vma)) {
    fail(`VMA ${vma.start} of mm ${vma.mm.id} changes without its lock`);
  }
}

/** Tries to lock a VMA for reading. Returns whether it is locked now. @kernel vma_start_read */
function* vmaStartRead(mm: Mm, vma: Vma): Op<boolean> {
  yield* readPoint(MM_LOCK_SEQUENCE, mm.id);
  if (isVmaWriteLocked(vma)) return false;
  if (!(yield* downReadTrylock(vma.lock))) return false;
  // It may have been locked, and even let go and be gone, before the reader was counted.
  if (!isVmaWriteLocked(vma) && !vma.detached) return true;
  yield* upRead(vma.lock);
  return false;
}

/** Locks a VMA for reading while the mmap lock is held. @kernel vma_start_read_locked */
export function* vmaStartReadLocked(vma: Vma): Op<void> {
  // No writer can be inside: it would hold the mmap lock.
  if (!(yield* downReadTrylock(vma.lock))) fail(`VMA ${vma.start} is written under the mmap lock`);
}

/** @kernel vma_end_read */
export function* vmaEndRead(vma: Vma): Op<void> {
  yield* upRead(vma.lock);
}

/**
 * Finds the VMA of a page and locks it for reading, without the mmap lock. Undefined if there is
 * none, or if it is being changed: the caller takes the mmap lock then.
 * @kernel lock_vma_under_rcu
 */
export function* lockVmaUnderRcu(mm: Mm, vpn: number): Op<Vma | undefined> {
  // Where nobody can come in, no VMA is locked while a fault begins.
  if (!canInterleave) return findVma(mm, vpn);
  yield* rcuReadLock();
  const vma = findVma(mm, vpn);
  const isLocked = vma !== undefined && (yield* vmaStartRead(mm, vma));
  yield* rcuReadUnlock();
  if (!isLocked) return undefined;
  // Between the search and the lock its ends may have moved.
  if (vpn >= vma.start && vpn < vma.end) return vma;
  yield* vmaEndRead(vma);
  return undefined;
}
