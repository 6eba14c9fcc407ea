import { fail } from '../../base/errors.js';
import { tableIndex } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { downWrite, upWrite, type Op } from '../op/prims.js';
import { anonVmaLockWrite, anonVmaUnlockWrite } from '../rmap/anon_vma.js';
import { avcInsert, avcRemove } from '../rmap/anon_vma_chain.js';
import { splitHugePmdAddress } from '../thp/split.js';
import { fileTreeInsert, fileTreeRemove } from './file_map.js';
import { assertVmaWriteLocked, vmaStartWrite } from './vma_lock.js';
import type { Vma } from './vma.js';
import { VM_HUGETLB } from './vm_flags.js';

/**
 * Gives a VMA another range. Its tree keys change with it, so it is taken out of every tree first
 * and put back afterwards, behind equal keys (spec 10 §9.1, 97 §3.3). The mmap lock is held for
 * write. A huge PMD that straddles a new boundary is split.
 * @kernel vma_shrink vma_expand
 */
export function* setVmaRange(
  kernel: Kernel,
  vma: Vma,
  start: number,
  end: number,
  pgoff: number,
): Op<void> {
  yield* vmaStartWrite(vma);
  yield* lockKeys(vma, vma);
  if (start > vma.start) splitHugeBoundary(kernel, vma, start);
  if (end < vma.end) splitHugeBoundary(kernel, vma, end);
  removeKeys(kernel, vma);
  vma.start = start;
  vma.end = end;
  vma.pgoff = pgoff;
  insertKeys(kernel, vma);
  yield* unlockKeys(vma, vma);
}

/** Moves the boundary between two adjacent VMAs; both keep at least one page. */
export function* moveBoundary(kernel: Kernel, lower: Vma, upper: Vma, boundary: number): Op<void> {
  if (lower.end !== upper.start || boundary <= lower.start || boundary >= upper.end) {
    fail(`the boundary of two VMAs cannot move to page ${boundary}`);
  }
  yield* vmaStartWrite(lower);
  yield* vmaStartWrite(upper);
  yield* lockKeys(lower, upper);
  splitHugeBoundary(kernel, boundary < lower.end ? lower : upper, boundary);
  removeKeys(kernel, lower);
  removeKeys(kernel, upper);
  lower.end = boundary;
  upper.pgoff += boundary - upper.start;
  upper.start = boundary;
  insertKeys(kernel, lower);
  insertKeys(kernel, upper);
  yield* unlockKeys(lower, upper);
}

/** Takes a VMA out of all trees that its range is a key of. */
export function removeKeys(kernel: Kernel, vma: Vma): void {
  assertVmaWriteLocked(vma);
  fileTreeRemove(kernel, vma);
  for (const avc of vma.anonVmaChain) avcRemove(kernel, avc);
}

/** Puts it back with its present range. */
export function insertKeys(kernel: Kernel, vma: Vma): void {
  fileTreeInsert(kernel, vma);
  for (const avc of vma.anonVmaChain) avcInsert(kernel, avc);
}

/** Two VMAs that change together have the same file and anon_vmas of one root, or none. */
function* lockKeys(vma: Vma, other: Vma): Op<void> {
  if (vma.file !== undefined) yield* downWrite(vma.file.mapping.iMmapRwsem);
  const anonVma = vma.anonVma ?? other.anonVma;
  if (anonVma !== undefined) yield* anonVmaLockWrite(anonVma);
}

function* unlockKeys(vma: Vma, other: Vma): Op<void> {
  const anonVma = vma.anonVma ?? other.anonVma;
  if (anonVma !== undefined) yield* anonVmaUnlockWrite(anonVma);
  if (vma.file !== undefined) yield* upWrite(vma.file.mapping.iMmapRwsem);
}

/** @kernel vma_adjust_trans_huge */
function splitHugeBoundary(kernel: Kernel, vma: Vma, vpn: number): void {
  if (tableIndex(vpn) === 0 || (vma.flags & VM_HUGETLB) !== 0) return;
  splitHugePmdAddress(kernel, vma, vpn);
}
