import { EAGAIN, EINVAL, ENOMEM } from '../errno.js';
import { madvisePages } from '../fault/madvise_pages.js';
import { madvisePopulate } from '../fault/populate.js';
import type { Kernel } from '../kernel.js';
import { ksmEnter } from '../ksm/register.js';
import { unmergeKsmPages } from '../ksm/unmerge.js';
import { downRead, upRead, type Op } from '../op/prims.js';
import type { MadviseAdvice } from '../operation.js';
import { madviseCollapse } from '../thp/collapse.js';
import { isUffdArmed } from '../uffd/context.js';
import { findVmaIndex, type Mm } from '../vm/mm.js';
import { lockVmaUnderRcu, mmapWriteLock, mmapWriteUnlock, vmaEndRead } from '../vm/vma_lock.js';
import { modifyVmaFlags } from '../vm/vma_modify.js';
import { mappingUnit, type Vma } from '../vm/vma.js';
import { VM_HUGETLB } from '../vm/vm_flags.js';
import { advisedFlags, adviceRefusal, isFlagAdvice, isKnownAdvice } from './madvise_rules.js';

/**
 * Applies an advice to a range (spec 97 §1.4). Returns 0 or a negative errno: everything mapped is
 * processed up to the first VMA that refuses; holes make the result -ENOMEM.
 * @kernel do_madvise
 */
export function* doMadvise(
  kernel: Kernel,
  mm: Mm,
  at: number,
  lengthPages: number,
  advice: MadviseAdvice,
): Op<number> {
  if (!isKnownAdvice(kernel.profile, advice)) return -EINVAL;
  if (lengthPages <= 0) return 0;
  const end = at + lengthPages;
  if (advice === 'populate_read' || advice === 'populate_write') {
    yield* downRead(mm.mmapLock);
    const result = yield* madvisePopulate(kernel, mm, at, end, advice === 'populate_write');
    yield* upRead(mm.mmapLock);
    return result;
  }
  // Collapsing takes the mmap lock by itself, first for reading, then for writing.
  if (advice === 'collapse') return yield* madviseCollapse(kernel, mm, at, end);
  if (isFlagAdvice(advice)) {
    yield* mmapWriteLock(mm);
    const result = yield* adviseVmas(kernel, mm, at, end, advice);
    yield* mmapWriteUnlock(mm);
    return result;
  }
  if (isZapAdvice(advice)) {
    const vma = yield* lockVmaUnderRcu(mm, at);
    const isOneVma = vma !== undefined && end <= vma.end && !isUffdArmed(vma);
    const result = isOneVma ? yield* adviseVma(kernel, vma, at, end, advice) : 0;
    if (vma !== undefined) yield* vmaEndRead(vma);
    if (isOneVma) return result;
  }
  yield* downRead(mm.mmapLock);
  const result = yield* adviseVmas(kernel, mm, at, end, advice);
  yield* upRead(mm.mmapLock);
  return result;
}

/** Advice that lets go of pages holds the lock of the VMA only, if one has the whole range. */
function isZapAdvice(advice: MadviseAdvice): boolean {
  return advice === 'dontneed' || advice === 'dontneed_locked' || advice === 'free';
}

/** @kernel madvise_walk_vmas */
function* adviseVmas(
  kernel: Kernel,
  mm: Mm,
  start: number,
  end: number,
  advice: MadviseAdvice,
): Op<number> {
  let at = start;
  let hasHole = false;
  while (at < end) {
    const vma = mm.vmas[findVmaIndex(mm, at)];
    if (vma === undefined || vma.start >= end) {
      hasHole = true;
      break;
    }
    if (vma.start > at) {
      hasHole = true;
      at = vma.start;
    }
    const stop = Math.min(vma.end, end);
    const failed = yield* adviseVma(kernel, vma, at, stop, advice);
    if (failed !== 0) return failed;
    at = stop;
  }
  return hasHole ? -ENOMEM : 0;
}

/** @kernel madvise_vma_behavior */
function* adviseVma(
  kernel: Kernel,
  vma: Vma,
  start: number,
  end: number,
  advice: MadviseAdvice,
): Op<number> {
  const refusal = adviceRefusal(vma, advice);
  if (refusal !== 0) return refusal;
  if (isFlagAdvice(advice)) return yield* adviseFlags(kernel, vma, start, end, advice);
  let stop = end;
  if ((vma.flags & VM_HUGETLB) !== 0 && (advice === 'dontneed' || advice === 'dontneed_locked')) {
    const unit = mappingUnit(vma);
    if (start % unit !== 0) return -EINVAL;
    stop -= stop % unit;
    if (stop === start) return 0;
  }
  return yield* madvisePages(kernel, vma, start, stop, advice);
}

function* adviseFlags(
  kernel: Kernel,
  vma: Vma,
  start: number,
  end: number,
  advice: MadviseAdvice,
): Op<number> {
  const flags = advisedFlags(vma, advice);
  // Flags that stay as they are cause neither a split nor an attempt to merge.
  if (flags === vma.flags) return 0;
  if (advice === 'unmergeable' && vma.anonVma !== undefined) {
    const failed = yield* unmergeKsmPages(kernel, vma, start, end);
    if (failed !== 0) return failed;
  }
  if (advice === 'mergeable') ksmEnter(kernel, vma.mm);
  const changed = yield* modifyVmaFlags(kernel, vma, start, end, flags);
  if (typeof changed !== 'number') return 0;
  return changed === -ENOMEM ? -EAGAIN : changed;
}
