import { EINVAL, ENOMEM } from '../errno.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { anonVmaClone } from '../rmap/anon_vma_clone.js';
import { linkFile } from './file_map.js';
import { findVmaIndex, type Mm } from './mm.js';
import { lockNewVma, vmaStartWrite } from './vma_lock.js';
import { setVmaRange } from './vma_range.js';
import { mappingUnit, Vma } from './vma.js';

/**
 * A copy that is in no tree and no mm yet. It has the original's anon_vma but an empty chain: the
 * caller connects it (`anonVmaClone`) or resets `anonVma`. @kernel vm_area_dup
 */
export function duplicateVma(vma: Vma, mm: Mm): Vma {
  const copy = new Vma(mm, vma.start, vma.end, vma.pgoff, vma.flags, vma.file);
  copy.anonVma = vma.anonVma;
  copy.lostAnonVma = vma.lostAnonVma;
  copy.ownsReservation = vma.ownsReservation;
  copy.reservedPages = vma.reservedPages;
  copy.lostHugePages = vma.lostHugePages;
  return copy;
}

/** Puts a VMA into its mm at its place in address order. @kernel vma_link */
export function insertVma(vma: Vma): void {
  lockNewVma(vma);
  const { vmas } = vma.mm;
  const index = findVmaIndex(vma.mm, vma.start);
  if (index === vmas.length) vmas.push(vma);
  else vmas.splice(index, 0, vma);
}

/**
 * Cuts a VMA in two at page `at`, inside it. The new VMA is the lower piece if `isNewBelow`, else
 * the upper one. The mmap lock is held for write. Returns 0, -ENOMEM, or -EINVAL if `at` is not
 * on a huge-page boundary of a hugetlb VMA. @kernel __split_vma
 */
export function* splitVma(kernel: Kernel, vma: Vma, at: number, isNewBelow: boolean): Op<number> {
  if (at % mappingUnit(vma) !== 0) return -EINVAL;
  if (kernel.allocationFails()) return -ENOMEM;
  const piece = duplicateVma(vma, vma.mm);
  yield* vmaStartWrite(vma);
  const upperPgoff = vma.pgoff + (at - vma.start);
  if (isNewBelow) {
    piece.end = at;
  } else {
    piece.start = at;
    piece.pgoff = upperPgoff;
  }
  const failed = yield* anonVmaClone(kernel, piece, vma);
  if (failed !== 0) return failed;
  yield* linkFile(kernel, piece);
  if (isNewBelow) yield* setVmaRange(kernel, vma, at, vma.end, upperPgoff);
  else yield* setVmaRange(kernel, vma, vma.start, at, vma.pgoff);
  insertVma(piece);
  return 0;
}
