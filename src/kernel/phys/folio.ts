import { fail } from '../../base/errors.js';
import { NIL } from '../../base/units.js';
import { freeHugetlbFolio } from '../hugetlb/free.js';
import type { Kernel } from '../kernel.js';
import { countAnonFolio, folioUnqueueDeferredSplit } from '../thp/deferred.js';
import type { AnonVma } from '../rmap/anon_vma_types.js';
import type { AddressSpace } from '../vm/address_space.js';
import { largeRow } from './large_folio.js';
import { MAPPING_ANON, MAPPING_KSM, MAPPING_TAG_MASK } from './memory.js';
import {
  PG_HEAD,
  PG_HUGETLB,
  PG_HWPOISON,
  PG_LRU,
  PG_MLOCKED,
  PG_PRIVATE,
  PG_SWAPCACHE,
  PG_TAIL,
  PG_UNEVICTABLE,
  PG_UPTODATE,
} from './page_flags.js';

export { largeRow } from './large_folio.js';

/** References that one FOLL_PIN of a small folio takes. @kernel GUP_PIN_COUNTING_BIAS */
export const GUP_PIN_COUNTING_BIAS = 1024;

/** Allocation order; 0 for a small folio. @kernel folio_order */
export function folioOrder(kernel: Kernel, head: number): number {
  return (kernel.memory.flags[head] & PG_HEAD) === 0 ? 0 : largeOrder(kernel, head);
}

/** Apart from those above, which every walk asks of small folios, so that they stay in line. */
function largeOrder(kernel: Kernel, head: number): number {
  return kernel.large.order[largeRow(kernel, head)];
}

/** @kernel folio_nr_pages */
export function folioPageCount(kernel: Kernel, head: number): number {
  return (kernel.memory.flags[head] & PG_HEAD) === 0 ? 1 : 1 << largeOrder(kernel, head);
}

/** Whether the folio belongs to an anon_vma or a KSM node. @kernel folio_test_anon */
export function isAnonFolio(kernel: Kernel, head: number): boolean {
  return (kernel.memory.mapping[head] & MAPPING_ANON) !== 0;
}

/** @kernel folio_test_ksm */
export function isKsmFolio(kernel: Kernel, head: number): boolean {
  return (kernel.memory.mapping[head] & MAPPING_TAG_MASK) === MAPPING_KSM;
}

/** The anon_vma that an anonymous (not KSM) folio points to. @kernel folio_anon_vma */
export function folioAnonVma(kernel: Kernel, head: number): AnonVma | undefined {
  const mapping = kernel.memory.mapping[head];
  return (mapping & MAPPING_TAG_MASK) === MAPPING_ANON ? kernel.anonVmas[mapping >> 2] : undefined;
}

/** The file mapping of a page-cache folio. @kernel folio_mapping */
export function folioMapping(kernel: Kernel, head: number): AddressSpace | undefined {
  const mapping = kernel.memory.mapping[head];
  return (mapping & MAPPING_TAG_MASK) === 0 ? kernel.mappings[mapping >> 2] : undefined;
}

/** Entries of any level that map the folio. @kernel folio_mapcount */
export function folioMapcount(kernel: Kernel, head: number): number {
  if ((kernel.memory.flags[head] & PG_HEAD) === 0) return kernel.memory.mapcount[head];
  return kernel.large.largeMapcount[largeRow(kernel, head)];
}

/** Entries that map this very page, whole-folio mappings included. */
export function folioPrecisePageMapcount(kernel: Kernel, head: number, pfn: number): number {
  const own = kernel.memory.mapcount[pfn];
  if ((kernel.memory.flags[head] & PG_HEAD) === 0) return own;
  return own + kernel.large.entireMapcount[largeRow(kernel, head)];
}

/** Mean mapcount of the pages of a folio, at least 1 while mapped (spec 20 §1.1). */
export function folioAveragePageMapcount(kernel: Kernel, head: number): number {
  if ((kernel.memory.flags[head] & PG_HEAD) === 0) return kernel.memory.mapcount[head];
  const row = largeRow(kernel, head);
  const total = kernel.large.largeMapcount[row];
  if (total <= 0) return 0;
  const entire = kernel.large.entireMapcount[row];
  if (total <= entire) return entire;
  const order = kernel.large.order[row];
  const average = Math.floor((total - entire + 2 ** order / 2) / 2 ** order);
  return Math.max(average + entire, 1);
}

/**
 * Whether more than one mm may map the folio; may be falsely true for large folios, never falsely
 * false (spec 20 §1.1, §4.5). @kernel folio_maybe_mapped_shared
 */
export function folioMaybeMappedShared(kernel: Kernel, head: number): boolean {
  const mapcount = folioMapcount(kernel, head);
  const flags = kernel.memory.flags[head];
  if ((flags & PG_HEAD) === 0 || (flags & PG_HUGETLB) !== 0) return mapcount > 1;
  if (kernel.profile.mmIds === 'none') return true;
  return mapcount > 1 && kernel.large.shared[largeRow(kernel, head)] !== 0;
}

/**
 * References that mappings and caches explain; others are GUP, isolation or the caller's own.
 * @kernel folio_expected_ref_count
 */
export function folioExpectedRefCount(kernel: Kernel, head: number): number {
  const { flags, mapping } = kernel.memory;
  const pages = folioPageCount(kernel, head);
  let expected = folioMapcount(kernel, head);
  if (isAnonFolio(kernel, head)) {
    if ((flags[head] & PG_SWAPCACHE) !== 0) expected += pages;
  } else {
    if (mapping[head] !== 0) expected += pages;
    if ((flags[head] & PG_PRIVATE) !== 0) expected += 1;
  }
  return expected;
}

/** Exact for large folios, may be falsely true for small ones. @kernel folio_maybe_dma_pinned */
export function folioMaybeDmaPinned(kernel: Kernel, head: number): boolean {
  if ((kernel.memory.flags[head] & PG_HEAD) !== 0) {
    return kernel.large.pincount[largeRow(kernel, head)] > 0;
  }
  return kernel.memory.refcount[head] >= GUP_PIN_COUNTING_BIAS;
}

/**
 * A new folio with one reference, uptodate, no mapping, on no list, charged to `memcg`.
 * Returns the head pfn or NIL when there is no free block. `pfn` is the block if the caller has
 * taken one already.
 */
export function folioAlloc(
  kernel: Kernel,
  order: number,
  memcg: number,
  pfn = kernel.memory.allocPages(order),
): number {
  const { memory } = kernel;
  if (pfn === NIL) return NIL;
  memory.refcount[pfn] = 1;
  memory.memcg[pfn] = memcg;
  if (order === 0) {
    memory.flags[pfn] = PG_UPTODATE;
    return pfn;
  }
  prepareLarge(kernel, pfn, order);
  return pfn;
}

function prepareLarge(kernel: Kernel, head: number, order: number): void {
  const { flags, mapping, next } = kernel.memory;
  flags[head] = PG_UPTODATE | PG_HEAD;
  const end = head + 2 ** order;
  flags.fill(PG_TAIL, head + 1, end);
  mapping.fill(head, head + 1, end);
  next[head + 1] = kernel.large.alloc(head, order);
}

/** @kernel folio_get */
export function folioGet(kernel: Kernel, head: number, count = 1): void {
  kernel.memory.refcount[head] += count;
}

/** Drops references; frees the folio with the last one. @kernel folio_put */
export function folioPut(kernel: Kernel, head: number, count = 1): void {
  const { refcount } = kernel.memory;
  const left = refcount[head] - count;
  refcount[head] = left;
  if (left <= 0) {
    if (left < 0) fail(`folio ${head} has ${left} references`);
    folioFree(kernel, head);
  }
}

/** Takes a folio without references off its lists and frees its pages. @kernel __folio_put */
export function folioFree(kernel: Kernel, head: number): void {
  const { memory } = kernel;
  const flags = memory.flags[head];
  if ((flags & PG_LRU) !== 0) kernel.lru.remove(head);
  if ((flags & (PG_MLOCKED | PG_UNEVICTABLE)) !== 0) memory.previous[head] = NIL;
  if ((flags & PG_HEAD) !== 0) {
    freeLarge(kernel, head);
    return;
  }
  memory.mapping[head] = 0;
  memory.memcg[head] = 0;
  if (memory.mapcount[head] !== 0) fail(`page ${head} is freed while mapped`);
  // A poisoned page is never used again.
  if ((flags & PG_HWPOISON) !== 0) memory.flags[head] = PG_HWPOISON;
  else memory.freePage(head);
}

function freeLarge(kernel: Kernel, head: number): void {
  const { memory, large } = kernel;
  if ((memory.flags[head] & PG_HUGETLB) !== 0 && !freeHugetlbFolio(kernel, head)) return;
  const row = largeRow(kernel, head);
  if (large.largeMapcount[row] !== 0) fail(`large folio ${head} is freed while mapped`);
  const order = large.order[row];
  folioUnqueueDeferredSplit(kernel, head);
  if (isAnonFolio(kernel, head) && (memory.flags[head] & PG_HUGETLB) === 0) {
    countAnonFolio(kernel, order, -1);
  }
  memory.memcg[head] = 0;
  const end = head + 2 ** order;
  const { flags, mapcount } = memory;
  let allFlags = 0;
  let mapped = 0;
  for (let pfn = head; pfn < end; pfn += 1) {
    allFlags |= flags[pfn];
    mapped |= mapcount[pfn];
  }
  if (mapped !== 0) fail(`a page of large folio ${head} is freed while mapped`);
  memory.mapping.fill(0, head, end);
  memory.index[head] = 0;
  large.free(row);
  if ((allFlags & PG_HWPOISON) === 0) {
    flags.fill(0, head, end);
    memory.freeBlock(head, order);
    return;
  }
  for (let pfn = head; pfn < end; pfn += 1) {
    flags[pfn] &= PG_HWPOISON;
    if (flags[pfn] === 0) memory.freePage(pfn);
  }
}

/** @kernel PageHWPoison */
export function pageIsPoisoned(kernel: Kernel, pfn: number): boolean {
  return (kernel.memory.flags[pfn] & PG_HWPOISON) !== 0;
}

/** Points the folio to a file mapping. */
export function setFileMapping(
  kernel: Kernel,
  head: number,
  mapping: AddressSpace,
  index: number,
): void {
  kernel.memory.mapping[head] = mapping.id << 2;
  kernel.memory.index[head] = index;
}

/** Points the folio to an anon_vma, pointer and tag in one store. */
export function setAnonMapping(
  kernel: Kernel,
  head: number,
  anonVma: AnonVma,
  index: number,
): void {
  kernel.memory.mapping[head] = (anonVma.id << 2) | MAPPING_ANON;
  kernel.memory.index[head] = index;
}
