import { EFAULT, ENOMEM } from '../errno.js';
import { movePageTables } from '../fault/move_page_tables.js';
import type { Kernel } from '../kernel.js';
import { unmergeKsmPages } from '../ksm/unmerge.js';
import type { Op } from '../op/prims.js';
import { unlinkAnonVmas } from '../rmap/anon_vma_clone.js';
import { isUffdArmed, VM_UFFD_FLAGS } from '../uffd/context.js';
import { copyVma } from '../vm/copy_vma.js';
import { findVma, findVmaIndex, type Mm } from '../vm/mm.js';
import { unmapRange } from '../vm/unmap.js';
import { accountPages } from '../vm/vm_stat.js';
import { vmaStartWrite } from '../vm/vma_lock.js';
import type { Vma } from '../vm/vma.js';
import { VM_HUGETLB, VM_LOCKED, VM_LOCKONFAULT, VM_MERGEABLE } from '../vm/vm_flags.js';

/**
 * Moves pages of one VMA to a free place (spec 97 §5.1, §5.2).
 *
 * @param at First page of the source; [at, at + oldPages) lies in `vma`.
 * @param newPages Length of the destination; the rest behind the moved pages is empty.
 * @param isKept Leave the source mapped, without its pages.
 * @returns The first page of the destination or a negative errno.
 * @kernel move_vma
 */
export function* moveVma(
  kernel: Kernel,
  vma: Vma,
  at: number,
  oldPages: number,
  to: number,
  newPages: number,
  isKept: boolean,
): Op<number> {
  const end = at + oldPages;
  yield* vmaStartWrite(vma);
  // A KSM page is found by its item's address, so it must not move.
  if ((vma.flags & VM_MERGEABLE) !== 0 && vma.anonVma !== undefined) {
    const failed = yield* unmergeKsmPages(kernel, vma, at, end);
    if (failed !== 0) return failed;
  }
  const copied = yield* copyVma(kernel, vma, at, to, newPages);
  if (copied === undefined) return -ENOMEM;
  const { vma: target, source, needRmapLocks } = copied;
  accountPages(source.mm, source.flags, newPages);
  // A moved VMA is registered no more: there is no listener that follows moves.
  target.flags &= ~VM_UFFD_FLAGS;
  yield* movePageTables(kernel, source, at, target, to, oldPages, needRmapLocks);
  if ((source.flags & VM_HUGETLB) !== 0) {
    // The reservation has gone with the copy.
    source.ownsReservation = false;
    source.reservedPages = undefined;
  }
  if (!isKept) {
    const failed = yield* unmapRange(kernel, source.mm, at, end);
    return failed === 0 ? to : failed;
  }
  // All of the VMA is unlocked, not only what moved, and `VmLck` does not show it.
  if ((source.flags & VM_LOCKED) !== 0) source.mm.lostLockedPages += source.lengthPages;
  source.flags &= ~(VM_LOCKED | VM_LOCKONFAULT);
  // All pages are gone, so nothing ties the VMA to its anon_vmas any more.
  if (source !== target && source.start === at && source.end === end) {
    source.lostAnonVma ||= source.anonVma !== undefined;
    yield* unlinkAnonVmas(kernel, source);
  }
  return to;
}

/**
 * MREMAP_FIXED over several VMAs: each piece moves by itself, holes stay. Only the destinations of
 * the pieces are unmapped (spec 97 §5.3). @kernel remap_move
 */
export function* moveVmas(
  kernel: Kernel,
  mm: Mm,
  request: { readonly at: number; readonly oldPages: number; readonly to: number },
  isKept: boolean,
): Op<number> {
  const { at, to } = request;
  const end = at + request.oldPages;
  let from = at;
  while (from < end) {
    const next = mm.vmas[findVmaIndex(mm, from)];
    if (next === undefined || next.start >= end) break;
    // One that is registered can only move alone.
    if (isUffdArmed(next)) return -EFAULT;
    from = Math.max(from, next.start);
    const stop = Math.min(next.end, end);
    const target = to + (from - at);
    let failed = yield* unmapRange(kernel, mm, target, target + (stop - from));
    if (failed < 0) return failed;
    // The destination may have been a part of the same VMA.
    const vma = findVma(mm, from);
    if (vma === undefined) return -EFAULT;
    failed = yield* moveVma(kernel, vma, from, stop - from, target, stop - from, isKept);
    if (failed < 0) return failed;
    from = stop;
  }
  return to;
}
