import { NIL, PAGES_PER_PMD, PMD_ORDER, tableIndex } from '../../base/units.js';
import { findCachedPage } from '../file/page_cache.js';
import type { Kernel } from '../kernel.js';
import { downRead, upRead, type Op } from '../op/prims.js';
import {
  folioAlloc,
  folioExpectedRefCount,
  folioMapcount,
  folioOrder,
  folioPageCount,
  folioPut,
  setFileMapping,
} from '../phys/folio.js';
import { PG_DIRTY, PG_LRU, PG_SWAPBACKED } from '../phys/page_flags.js';
import { PTE_TABLE } from '../pgtable/pte.js';
import { freeIfEmpty } from '../fault/zap.js';
import { tryToUnmap } from '../rmap/try_to_unmap.js';
import { TTU_BATCH_FLUSH, TTU_IGNORE_MLOCK } from '../rmap/ttu_flags.js';
import { shmemSwapIn } from '../swap/shmem_swap.js';
import type { AddressSpace } from '../vm/address_space.js';
import { firstMappingVma, nextMappingVma } from '../vm/file_map.js';
import type { Vma } from '../vm/vma.js';
import type { ScanLimits, ScanResult } from './scan_result.js';

/**
 * Replaces the small pages of an aligned 2 MiB block of a shmem file by one folio; holes become
 * zeros. Every mapping of the old pages goes (spec 98 §5.3); the caller may map the new folio by a
 * PMD. `pteMappedHuge`: the block was one folio before.
 * @kernel hpage_collapse_scan_file @kernel collapse_file
 */
export function* collapseFileBlock(
  kernel: Kernel,
  mapping: AddressSpace,
  first: number,
  limits: ScanLimits,
): Op<ScanResult> {
  const scanned = scanFileBlock(kernel, mapping, first, limits);
  if (scanned !== 'succeed') return scanned;
  const huge = folioAlloc(kernel, PMD_ORDER, memcgOfBlock(kernel, mapping, first));
  if (huge === NIL) return 'allocFailed';
  const result = yield* emptyBlock(kernel, mapping, first);
  if (result !== 'succeed') {
    folioPut(kernel, huge);
    return result;
  }
  replacePages(kernel, mapping, first, huge);
  yield* retractPageTables(kernel, mapping, first);
  return 'succeed';
}

function scanFileBlock(
  kernel: Kernel,
  mapping: AddressSpace,
  first: number,
  limits: ScanLimits,
): ScanResult {
  const { memory } = kernel;
  let present = 0;
  let swapped = 0;
  for (let index = first; index < first + PAGES_PER_PMD; index += 1) {
    if (mapping.swapped.has(index)) {
      swapped += 1;
      if (swapped > limits.maxSwap) return 'exceedSwap';
      continue;
    }
    const pfn = findCachedPage(mapping, index);
    if (pfn === NIL) continue;
    const head = memory.folioOf(pfn);
    if (folioOrder(kernel, head) === PMD_ORDER) {
      return memory.index[head] === first ? 'pteMappedHuge' : 'pageCompound';
    }
    if ((memory.flags[head] & PG_LRU) === 0) return 'pageLru';
    if (memory.refcount[head] !== folioExpectedRefCount(kernel, head)) return 'pageCount';
    present += 1;
  }
  if (PAGES_PER_PMD - present - swapped > limits.maxNone) return 'exceedNone';
  return present + swapped === 0 ? 'truncated' : 'succeed';
}

/** The group of the first page that is there. */
function memcgOfBlock(kernel: Kernel, mapping: AddressSpace, first: number): number {
  for (let index = first; index < first + PAGES_PER_PMD; index += 1) {
    const pfn = findCachedPage(mapping, index);
    if (pfn !== NIL) return kernel.memory.memcg[kernel.memory.folioOf(pfn)];
  }
  return 0;
}

/** Reads swapped pages in and unmaps every page of the block. */
function* emptyBlock(kernel: Kernel, mapping: AddressSpace, first: number): Op<ScanResult> {
  const { memory } = kernel;
  for (let index = first; index < first + PAGES_PER_PMD; index += 1) {
    if (mapping.swapped.has(index)) {
      const read = yield* shmemSwapIn(kernel, mapping, index, 0);
      if (read === NIL) return 'fail';
    }
    const pfn = findCachedPage(mapping, index);
    if (pfn === NIL) continue;
    const head = memory.folioOf(pfn);
    if (folioMapcount(kernel, head) > 0) {
      yield* tryToUnmap(kernel, head, TTU_IGNORE_MLOCK | TTU_BATCH_FLUSH);
    }
    const isFree = memory.refcount[head] === folioPageCount(kernel, head);
    if (folioMapcount(kernel, head) > 0 || !isFree) return 'pageCount';
  }
  return 'succeed';
}

function replacePages(kernel: Kernel, mapping: AddressSpace, first: number, huge: number): void {
  const { memory } = kernel;
  for (let i = 0; i < PAGES_PER_PMD; i += 1) {
    const pfn = findCachedPage(mapping, first + i);
    mapping.pages.set(first + i, huge + i);
    if (pfn === NIL) continue;
    memory.content[huge + i] = memory.content[pfn];
    kernel.work.pagesCopied += 1;
    const head = memory.folioOf(pfn);
    // The cache's reference for this page; the folio goes with the last one.
    if (memory.refcount[head] === 1) memory.mapping[head] = 0;
    folioPut(kernel, head);
  }
  // The allocation's own reference becomes the first of the cache's.
  memory.refcount[huge] += PAGES_PER_PMD - 1;
  memory.flags[huge] |= PG_SWAPBACKED | PG_DIRTY;
  setFileMapping(kernel, huge, mapping, first);
  kernel.lru.add(huge);
}

/**
 * Frees the empty PTE tables over the block, so that the next fault there maps it by a PMD. Private
 * mappings with own pages keep theirs. @kernel retract_page_tables
 */
function* retractPageTables(kernel: Kernel, mapping: AddressSpace, first: number): Op<void> {
  const last = first + PAGES_PER_PMD - 1;
  yield* downRead(mapping.iMmapRwsem);
  let vma = firstMappingVma(kernel, mapping, first, last);
  while (vma !== undefined) {
    retractTable(kernel, vma, vma.start + (first - vma.pgoff));
    vma = nextMappingVma(kernel, vma, first, last);
  }
  yield* upRead(mapping.iMmapRwsem);
}

function retractTable(kernel: Kernel, vma: Vma, at: number): void {
  if (vma.anonVma !== undefined || tableIndex(at) !== 0) return;
  if (at < vma.start || at + PAGES_PER_PMD > vma.end) return;
  const pmd = kernel.pageTables.findPmd(vma.mm.pgd, at);
  if (pmd === NIL || (kernel.pageTables.flags[pmd] & PTE_TABLE) === 0) return;
  freeIfEmpty(kernel, pmd);
}
