import { NIL, TASK_SIZE_PAGES } from '../../base/units.js';
import { EFAULT, EINVAL, ENOMEM } from '../errno.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { findVma, hasOverlap, type Mm } from '../vm/mm.js';
import { unmapRange, unmapRangeAndUnlock } from '../vm/unmap.js';
import { accountPages } from '../vm/vm_stat.js';
import { findUnmappedArea } from '../vm/unmapped_area.js';
import { mmapWriteLock, mmapWriteUnlock } from '../vm/vma_lock.js';
import { extendVma } from '../vm/vma_merge.js';
import { mappingUnit, type Vma } from '../vm/vma.js';
import {
  VM_DONTEXPAND,
  VM_HUGETLB,
  VM_LOCKED,
  VM_LOCKONFAULT,
  VM_PFNMAP,
  VM_SHARED,
} from '../vm/vm_flags.js';
import { MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE } from './map_flags.js';
import { moveVma, moveVmas } from './move_vma.js';
import { populateUnlocked } from './populate_unlocked.js';

/** Arguments of mremap; addresses and lengths in pages. */
export interface MremapRequest {
  readonly at: number;
  readonly oldPages: number;
  readonly newPages: number;
  /** `MREMAP_*` bits. */
  readonly flags: number;
  /** First page of the destination; used with `MREMAP_FIXED` only. */
  readonly to: number;
}

/**
 * Moves, grows or shrinks a mapping (spec 97 §1.5, §5). Returns its first page afterwards, or a
 * negative errno. @kernel do_mremap
 */
export function* doMremap(kernel: Kernel, mm: Mm, request: MremapRequest): Op<number> {
  const { at, oldPages, newPages, flags, to } = request;
  const isFixed = (flags & MREMAP_FIXED) !== 0;
  const isKept = (flags & MREMAP_DONTUNMAP) !== 0;
  if ((isFixed || isKept) && (flags & MREMAP_MAYMOVE) === 0) return -EINVAL;
  if (newPages <= 0 || oldPages < 0) return -EINVAL;
  if (isKept && oldPages !== newPages) return -EINVAL;
  if (isFixed && to + newPages > TASK_SIZE_PAGES) return -EINVAL;
  if (isFixed && at + oldPages > to && to + newPages > at) return -EINVAL;
  yield* mmapWriteLock(mm);
  if (!isFixed && !isKept && newPages < oldPages) return yield* shrink(kernel, mm, request);
  const result = yield* remapLocked(kernel, mm, request, isFixed, isKept);
  const moved = result < 0 ? undefined : findVma(mm, result);
  yield* mmapWriteUnlock(mm);
  // The added part of a locked mapping is made resident.
  if (moved !== undefined && newPages > oldPages && isPopulated(moved)) {
    yield* populateUnlocked(kernel, mm, result + oldPages, result + newPages, true);
  }
  return result;
}

/** The mmap lock is held for write, and let go. @kernel shrink_vma */
function* shrink(kernel: Kernel, mm: Mm, request: MremapRequest): Op<number> {
  const { at, oldPages, newPages } = request;
  const vma = findVma(mm, at);
  let failed = vma === undefined ? -EFAULT : remapRefusal(vma, request, false, false);
  if (failed === 0) failed = yield* unmapRangeAndUnlock(kernel, mm, at + newPages, at + oldPages);
  if (failed === 0) return at;
  yield* mmapWriteUnlock(mm);
  return failed;
}

function isPopulated(vma: Vma): boolean {
  return (vma.flags & (VM_LOCKED | VM_LOCKONFAULT)) === VM_LOCKED;
}

function* remapLocked(
  kernel: Kernel,
  mm: Mm,
  request: MremapRequest,
  isFixed: boolean,
  isKept: boolean,
): Op<number> {
  const { at, oldPages, newPages } = request;
  const vma = findVma(mm, at);
  if (vma === undefined) return -EFAULT;
  const refusal = remapRefusal(vma, request, isFixed, isKept);
  if (refusal !== 0) return refusal;
  if (isFixed) return yield* remapTo(kernel, mm, vma, request, isKept);
  if (!isKept && oldPages === newPages) return at;
  return yield* growOrMove(kernel, mm, vma, request, isKept);
}

/** Reasons that depend on the kind of the first VMA only. @kernel check_prep_vma */
function remapRefusal(vma: Vma, request: MremapRequest, isFixed: boolean, isKept: boolean): number {
  const { at, oldPages, newPages, to } = request;
  if ((vma.flags & VM_HUGETLB) !== 0) {
    const isUnaligned = [at, oldPages, newPages, isFixed ? to : 0].some(
      (value) => value % mappingUnit(vma) !== 0,
    );
    if (isUnaligned || newPages > oldPages || isKept) return -EINVAL;
  }
  if (oldPages === 0 && (vma.flags & VM_SHARED) === 0) return -EINVAL;
  if (isKept && (vma.flags & (VM_DONTEXPAND | VM_PFNMAP)) !== 0) return -EINVAL;
  const isGrowth = newPages > oldPages;
  if (isGrowth && (vma.flags & (VM_DONTEXPAND | VM_PFNMAP)) !== 0) return -EFAULT;
  return 0;
}

/** MREMAP_FIXED. @kernel mremap_to */
function* remapTo(
  kernel: Kernel,
  mm: Mm,
  first: Vma,
  request: MremapRequest,
  isKept: boolean,
): Op<number> {
  const { at, oldPages, newPages, to } = request;
  if (oldPages === newPages && at + oldPages > first.end) {
    return yield* moveVmas(kernel, mm, request, isKept);
  }
  // What stays must lie in one VMA; a tail that is cut off may lie anywhere.
  const movedPages = Math.min(oldPages, newPages);
  if (at + movedPages > first.end) return -EFAULT;
  let failed = yield* unmapRange(kernel, mm, to, to + newPages);
  if (failed === 0 && oldPages > newPages) {
    failed = yield* unmapRange(kernel, mm, at + newPages, at + oldPages);
  }
  if (failed !== 0) return failed;
  // The destination may have been a part of the same VMA.
  const vma = findVma(mm, at);
  if (vma === undefined) return -EFAULT;
  return yield* moveVma(kernel, vma, at, movedPages, to, newPages, isKept);
}

function* growOrMove(
  kernel: Kernel,
  mm: Mm,
  vma: Vma,
  request: MremapRequest,
  isKept: boolean,
): Op<number> {
  const { at, oldPages, newPages, flags } = request;
  const oldEnd = at + oldPages;
  if (oldEnd > vma.end) return -EFAULT;
  if (newPages > oldPages && oldEnd === vma.end && !hasOverlap(mm, oldEnd, at + newPages)) {
    const grown = yield* extendVma(kernel, vma, at + newPages);
    if (typeof grown === 'number') return -ENOMEM;
    accountPages(mm, grown.flags, newPages - oldPages);
    return at;
  }
  if ((flags & MREMAP_MAYMOVE) === 0) return -ENOMEM;
  const to = findUnmappedArea(mm, newPages, mappingUnit(vma));
  if (to === NIL) return -ENOMEM;
  return yield* moveVma(kernel, vma, at, oldPages, to, newPages, isKept);
}
