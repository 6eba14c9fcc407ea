import { PMD_ORDER } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { downRead, upRead, type Op } from '../op/prims.js';
import type { AddressSpace } from '../vm/address_space.js';
import { findVma, type Mm } from '../vm/mm.js';
import { mmapWriteLock, mmapWriteUnlock, vmaStartWrite } from '../vm/vma_lock.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';
import { allowableAnonOrders, blockFitsVma } from './anon_order.js';
import { collapseAnonBlock } from './collapse_anon.js';
import { collapseFileBlock } from './collapse_file.js';
import { collapsePteMappedFolio } from './collapse_pte_mapped.js';
import { scanAnonBlock } from './collapse_scan.js';
import { mayCollapseVma } from './may_collapse.js';
import type { ScanLimits, ScanResult } from './scan_result.js';
import { isShmemOrderAllowed } from './shmem_order.js';

/**
 * Collapses the aligned 2 MiB block at `at`: looks with the mmap lock held for reading, changes
 * with it held for writing, judging everything again. No lock is held on entry and exit.
 * `succeed` and `pmdMapped` mean that the block is one folio now.
 */
export function* collapseBlock(
  kernel: Kernel,
  mm: Mm,
  at: number,
  limits: ScanLimits,
): Op<ScanResult> {
  yield* downRead(mm.mmapLock);
  const vma = findCollapsibleVma(kernel, mm, at, limits);
  let result: ScanResult = 'fail';
  if (vma !== undefined && vma.file === undefined) result = scanAnonBlock(kernel, vma, at, limits);
  const mapping = vma?.file?.mapping;
  const index = vma === undefined ? 0 : linearPageIndex(vma, at);
  yield* upRead(mm.mmapLock);
  if (mapping !== undefined) {
    return yield* collapseFile(kernel, mm, at, mapping, index, limits);
  }
  if (result !== 'succeed') return result;
  yield* mmapWriteLock(mm);
  const now = findCollapsibleVma(kernel, mm, at, limits);
  result = 'fail';
  if (now !== undefined) {
    yield* vmaStartWrite(now);
    result = yield* collapseAnonBlock(kernel, now, at);
  }
  yield* mmapWriteUnlock(mm);
  return result;
}

/** MADV_COLLAPSE maps the folio here at once; khugepaged only frees the table for the next fault. */
function* collapseFile(
  kernel: Kernel,
  mm: Mm,
  at: number,
  mapping: AddressSpace,
  index: number,
  limits: ScanLimits,
): Op<ScanResult> {
  const result = yield* collapseFileBlock(kernel, mapping, index, limits);
  if (result !== 'succeed' && result !== 'pteMappedHuge') return result;
  yield* downRead(mm.mmapLock);
  const vma = findCollapsibleVma(kernel, mm, at, limits);
  let mapped: ScanResult = 'fail';
  if (vma !== undefined && vma.file?.mapping === mapping && linearPageIndex(vma, at) === index) {
    mapped = collapsePteMappedFolio(kernel, vma, at, limits.isForced);
  }
  yield* upRead(mm.mmapLock);
  return limits.isForced ? mapped : result;
}

/** The VMA around the block if it may have huge pages. @kernel hugepage_vma_revalidate */
function findCollapsibleVma(
  kernel: Kernel,
  mm: Mm,
  at: number,
  limits: ScanLimits,
): Vma | undefined {
  const vma = findVma(mm, at);
  if (vma === undefined || !blockFitsVma(vma, at, PMD_ORDER)) return undefined;
  if (!mayCollapseVma(kernel, vma)) return undefined;
  return limits.isForced || isPmdOrderEnabled(kernel, vma) ? vma : undefined;
}

/** Whether the knobs allow 2 MiB pages in the VMA. */
export function isPmdOrderEnabled(kernel: Kernel, vma: Vma): boolean {
  if (vma.file !== undefined) return isShmemOrderAllowed(kernel, vma.file.mapping, vma, PMD_ORDER);
  return (allowableAnonOrders(kernel, vma) & (1 << PMD_ORDER)) !== 0;
}
