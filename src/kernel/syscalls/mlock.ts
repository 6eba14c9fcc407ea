import { TASK_SIZE_PAGES } from '../../base/units.js';
import { EAGAIN, EINVAL, ENOMEM } from '../errno.js';
import { mlockVmaPages } from '../fault/mlock_pages.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { drainMlock } from '../phys/mlock.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { findVma, type Mm } from '../vm/mm.js';
import { mmapWriteLock, mmapWriteUnlock } from '../vm/vma_lock.js';
import { modifyVmaFlags } from '../vm/vma_modify.js';
import type { Vma } from '../vm/vma.js';
import { VM_HUGETLB, VM_LOCKED, VM_LOCKONFAULT, VM_SPECIAL } from '../vm/vm_flags.js';
import { MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT } from './map_flags.js';
import { populateUnlocked } from './populate_unlocked.js';

const LOCK_FLAGS = VM_LOCKED | VM_LOCKONFAULT;

/**
 * Locks a range and, unless `onFault`, makes it resident (spec 97 §1.3, §9). Returns 0 or a
 * negative errno; what precedes a hole or a page that cannot be had is locked all the same.
 * @kernel do_mlock
 */
export function* doMlock(
  kernel: Kernel,
  mm: Mm,
  at: number,
  lengthPages: number,
  onFault: boolean,
): Op<number> {
  if (lengthPages <= 0) return 0;
  const end = at + lengthPages;
  yield* mmapWriteLock(mm);
  const failed = yield* lockRange(kernel, mm, at, end, onFault ? LOCK_FLAGS : VM_LOCKED);
  yield* mmapWriteUnlock(mm);
  if (failed !== 0) return failed;
  drainMlock(kernel);
  const result = yield* populateUnlocked(kernel, mm, at, end, false);
  // The page that cannot be had is the caller's mistake, the memory that lacks is not.
  if (result === -ENOMEM) return -EAGAIN;
  return result < 0 ? -ENOMEM : 0;
}

/** Unlocks a range. Returns 0, or -ENOMEM at the first hole. @kernel munlock */
export function* doMunlock(kernel: Kernel, mm: Mm, at: number, lengthPages: number): Op<number> {
  if (lengthPages <= 0) return 0;
  yield* mmapWriteLock(mm);
  const result = yield* lockRange(kernel, mm, at, at + lengthPages, 0);
  yield* mmapWriteUnlock(mm);
  return result;
}

/**
 * Locks what is mapped now (`MCL_CURRENT`) and what will be (`MCL_FUTURE`). VMAs that cannot be
 * changed and pages that cannot be had are passed over. Returns 0 or -EINVAL. @kernel mlockall
 */
export function* doMlockall(kernel: Kernel, mm: Mm, mclFlags: number): Op<number> {
  const known = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
  if (mclFlags === 0 || (mclFlags & ~known) !== 0 || mclFlags === MCL_ONFAULT) return -EINVAL;
  const lockFlags = (mclFlags & MCL_ONFAULT) === 0 ? VM_LOCKED : LOCK_FLAGS;
  const isCurrent = (mclFlags & MCL_CURRENT) !== 0;
  yield* mmapWriteLock(mm);
  mm.defaultFlags &= ~LOCK_FLAGS;
  if ((mclFlags & MCL_FUTURE) !== 0) mm.defaultFlags |= lockFlags;
  if (isCurrent) yield* lockAll(kernel, mm, lockFlags);
  yield* mmapWriteUnlock(mm);
  if (!isCurrent) return 0;
  drainMlock(kernel);
  yield* populateUnlocked(kernel, mm, 0, TASK_SIZE_PAGES, true);
  return 0;
}

/** Unlocks everything, also what will be mapped. @kernel munlockall */
export function* doMunlockall(kernel: Kernel, mm: Mm): Op<number> {
  yield* mmapWriteLock(mm);
  mm.defaultFlags &= ~LOCK_FLAGS;
  yield* lockAll(kernel, mm, 0);
  yield* mmapWriteUnlock(mm);
  return 0;
}

/** @kernel apply_vma_lock_flags */
function* lockRange(
  kernel: Kernel,
  mm: Mm,
  start: number,
  end: number,
  lockFlags: number,
): Op<number> {
  let at = start;
  while (at < end) {
    const vma = findVma(mm, at);
    if (vma === undefined) return -ENOMEM;
    const stop = Math.min(vma.end, end);
    const failed = yield* lockVma(kernel, vma, at, stop, lockFlags);
    if (failed !== 0) return failed;
    at = stop;
  }
  return 0;
}

/** @kernel apply_mlockall_flags */
function* lockAll(kernel: Kernel, mm: Mm, lockFlags: number): Op<void> {
  // Merges shorten the list: a VMA that was merged away is looked for no more.
  for (const vma of mm.vmas.slice()) {
    if (!vma.detached) yield* lockVma(kernel, vma, vma.start, vma.end, lockFlags);
  }
}

/** @kernel mlock_fixup */
function* lockVma(
  kernel: Kernel,
  vma: Vma,
  start: number,
  end: number,
  lockFlags: number,
): Op<number> {
  const oldFlags = vma.flags;
  const newFlags = (oldFlags & ~LOCK_FLAGS) | lockFlags;
  if (newFlags === oldFlags || (oldFlags & (VM_SPECIAL | VM_HUGETLB)) !== 0) return 0;
  const changed = yield* modifyVmaFlags(kernel, vma, start, end, newFlags);
  if (typeof changed === 'number') return changed;
  const isLock = (newFlags & VM_LOCKED) !== 0;
  // Pages of a VMA that stays locked have had their event.
  if (isLock !== ((oldFlags & VM_LOCKED) !== 0)) {
    vma.mm.lockedPages += isLock ? end - start : start - end;
    yield* pageTablesSettled(vma.mm);
    mlockVmaPages(kernel, changed, start, end, isLock);
  }
  return 0;
}
