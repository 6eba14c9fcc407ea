import { fail } from '../../base/errors.js';
import { PAGES_PER_PMD, PAGES_PER_PUD, PMD_ORDER } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { folioPageCount, setAnonMapping } from '../phys/folio.js';
import { largeRow } from '../phys/large_folio.js';
import { MAPPING_ANON } from '../phys/memory.js';
import { mlockVmaFolio } from '../phys/mlock.js';
import { PG_ANON_EXCLUSIVE, PG_HEAD, PG_SWAPBACKED, PG_ZERO } from '../phys/page_flags.js';
import { countAnonFolio } from '../thp/deferred.js';
import { VM_DROPPABLE, VM_LOCKED } from '../vm/vm_flags.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';
import { folioAddReturnLargeMapcount, folioSetLargeMapcount } from './large_mapcount.js';
import { checkAnonPosition, countMappedPages, folioRmapSanityChecks } from './rmap_checks.js';
import {
  ENTIRELY_MAPPED,
  FOLIO_PAGES_MAPPED,
  RMAP_LEVEL_PMD,
  RMAP_LEVEL_PTE,
  RMAP_LEVEL_PUD,
  type RmapLevel,
} from './rmap_level.js';

/**
 * First mapping of an anonymous folio that is in no page table yet: owner, index and counts.
 * The folio's size decides the accounting: a PMD-sized folio must be mapped by a PMD
 * (spec 20 §3.3). Caller holds the page-table lock.
 *
 * @param vpn Where the folio's first page will be mapped.
 * @param exclusive No other mm can reach the folio; otherwise it belongs to the root anon_vma.
 * @kernel folio_add_new_anon_rmap @kernel rmap_t @kernel RMAP_EXCLUSIVE @kernel RMAP_NONE
 */
export function folioAddNewAnonRmap(
  kernel: Kernel,
  head: number,
  vma: Vma,
  vpn: number,
  exclusive: boolean,
): void {
  const { anonVma } = vma;
  if (anonVma === undefined) fail(`folio ${head} enters a VMA without anon_vma`);
  setAnonMapping(kernel, head, exclusive ? anonVma : anonVma.root, linearPageIndex(vma, vpn));
  const { flags, mapcount } = kernel.memory;
  const folioFlags = flags[head];
  const added =
    ((vma.flags & VM_DROPPABLE) === 0 ? PG_SWAPBACKED : 0) | (exclusive ? PG_ANON_EXCLUSIVE : 0);
  flags[head] = folioFlags | added;
  if ((folioFlags & PG_HEAD) !== 0) {
    addNewLargeAnon(kernel, head, vma, vpn, exclusive);
    return;
  }
  if (mapcount[head] !== 0) fail(`new folio ${head} is already mapped`);
  if (vpn < vma.start || vpn >= vma.end) fail(`page ${vpn} is outside of its VMA`);
  mapcount[head] = 1;
  kernel.stats.anonMapped += 1;
}

function addNewLargeAnon(
  kernel: Kernel,
  head: number,
  vma: Vma,
  vpn: number,
  exclusive: boolean,
): void {
  const { large, profile } = kernel;
  const { flags, mapcount } = kernel.memory;
  const row = largeRow(kernel, head);
  const order = large.order[row];
  const pages = 2 ** order;
  folioRmapSanityChecks(kernel, head, head, pages, RMAP_LEVEL_PTE);
  if (vpn < vma.start || vpn + pages > vma.end) fail(`pages ${vpn}+${pages} are outside their VMA`);
  countAnonFolio(kernel, order, 1);
  if (order < PMD_ORDER) {
    folioSetLargeMapcount(kernel, row, pages, vma.mm);
    if (profile.pageMapcount) {
      mapcount.fill(1, head, head + pages);
      large.pagesMapped[row] = pages;
    }
    if (exclusive) {
      for (let pfn = head; pfn < head + pages; pfn += 1) flags[pfn] |= PG_ANON_EXCLUSIVE;
    }
    kernel.stats.anonMapped += pages;
    return;
  }
  if (order > PMD_ORDER) fail(`anonymous folio ${head} is larger than a PMD`);
  folioSetLargeMapcount(kernel, row, 1, vma.mm);
  large.entireMapcount[row] = 1;
  if (profile.pageMapcount) large.pagesMapped[row] = ENTIRELY_MAPPED;
  kernel.stats.anonMapped += pages;
  kernel.stats.anonThps += pages;
}

/**
 * `pageCount` PTEs map an anonymous (or KSM) folio again, from page `page` on at `vpn`.
 * Caller holds the page-table lock. @kernel folio_add_anon_rmap_ptes @kernel folio_add_anon_rmap_pte
 */
export function folioAddAnonRmapPtes(
  kernel: Kernel,
  head: number,
  page: number,
  pageCount: number,
  vma: Vma,
  vpn: number,
  exclusive: boolean,
): void {
  checkAnonPosition(kernel, head, page, vma, vpn);
  const { flags, mapcount } = kernel.memory;
  if ((flags[head] & (PG_HEAD | PG_ZERO)) === 0) {
    if (pageCount !== 1) fail(`${pageCount} pages of small folio ${head} are mapped`);
    const count = mapcount[head] + 1;
    mapcount[head] = count;
    if (count === 1) kernel.stats.anonMapped += 1;
    if (exclusive) flags[head] |= PG_ANON_EXCLUSIVE;
    if (count > 1 && (flags[head] & PG_ANON_EXCLUSIVE) !== 0) failExclusive(head);
    if ((vma.flags & VM_LOCKED) !== 0) mlockVmaFolio(kernel, head, vma);
    return;
  }
  addLargePtes(kernel, head, page, pageCount, vma);
  const entire = kernel.large.entireMapcount[largeRow(kernel, head)];
  for (let pfn = page; pfn < page + pageCount; pfn += 1) {
    if (exclusive) flags[pfn] |= PG_ANON_EXCLUSIVE;
    if ((flags[pfn] & PG_ANON_EXCLUSIVE) === 0) continue;
    // A PMD split adds the PTEs before it removes the PMD, so one of each is legal.
    if (mapcount[pfn] > 1 || entire > 1) failExclusive(pfn);
  }
  mlockWhole(kernel, head, pageCount, vma);
}

/** A PMD maps an anonymous folio again. @kernel folio_add_anon_rmap_pmd */
export function folioAddAnonRmapPmd(
  kernel: Kernel,
  head: number,
  vma: Vma,
  vpn: number,
  exclusive: boolean,
): void {
  checkAnonPosition(kernel, head, head, vma, vpn);
  addEntire(kernel, head, PAGES_PER_PMD, vma, RMAP_LEVEL_PMD);
  const { flags } = kernel.memory;
  if (exclusive) flags[head] |= PG_ANON_EXCLUSIVE;
  const entire = kernel.large.entireMapcount[largeRow(kernel, head)];
  if (entire > 1 && (flags[head] & PG_ANON_EXCLUSIVE) !== 0) failExclusive(head);
  mlockWhole(kernel, head, PAGES_PER_PMD, vma);
}

/**
 * `pageCount` PTEs map a page-cache, shmem or driver folio from page `page` on. Caller holds the
 * page-table lock. @kernel folio_add_file_rmap_ptes @kernel folio_add_file_rmap_pte
 */
export function folioAddFileRmapPtes(
  kernel: Kernel,
  head: number,
  page: number,
  pageCount: number,
  vma: Vma,
): void {
  const { flags, mapcount, mapping } = kernel.memory;
  if ((mapping[head] & MAPPING_ANON) !== 0) fail(`folio ${head} is anonymous`);
  if ((flags[head] & (PG_HEAD | PG_ZERO)) === 0) {
    if (pageCount !== 1) fail(`${pageCount} pages of small folio ${head} are mapped`);
    const count = mapcount[head] + 1;
    mapcount[head] = count;
    if (count === 1) kernel.stats.fileMapped += 1;
    if ((vma.flags & VM_LOCKED) !== 0) mlockVmaFolio(kernel, head, vma);
    return;
  }
  addLargePtes(kernel, head, page, pageCount, vma);
  mlockWhole(kernel, head, pageCount, vma);
}

/** A PMD maps a file folio. @kernel folio_add_file_rmap_pmd */
export function folioAddFileRmapPmd(kernel: Kernel, head: number, vma: Vma): void {
  if ((kernel.memory.mapping[head] & MAPPING_ANON) !== 0) fail(`folio ${head} is anonymous`);
  addEntire(kernel, head, PAGES_PER_PMD, vma, RMAP_LEVEL_PMD);
  mlockWhole(kernel, head, PAGES_PER_PMD, vma);
}

/** A PUD maps a file folio. @kernel folio_add_file_rmap_pud */
export function folioAddFileRmapPud(kernel: Kernel, head: number, vma: Vma): void {
  if ((kernel.memory.mapping[head] & MAPPING_ANON) !== 0) fail(`folio ${head} is anonymous`);
  addEntire(kernel, head, PAGES_PER_PUD, vma, RMAP_LEVEL_PUD);
  mlockWhole(kernel, head, PAGES_PER_PUD, vma);
}

/** @kernel __folio_add_rmap */
function addLargePtes(
  kernel: Kernel,
  head: number,
  page: number,
  pageCount: number,
  vma: Vma,
): void {
  folioRmapSanityChecks(kernel, head, page, pageCount, RMAP_LEVEL_PTE);
  const { large } = kernel;
  const row = largeRow(kernel, head);
  let newlyMapped = 0;
  if (kernel.profile.pageMapcount) {
    const first = raisePageMapcounts(kernel, page, pageCount);
    if (first > 0) {
      large.pagesMapped[row] += first;
      if (large.pagesMapped[row] < ENTIRELY_MAPPED) newlyMapped = first;
    }
    folioAddReturnLargeMapcount(kernel, row, pageCount, vma.mm);
  } else {
    const total = folioAddReturnLargeMapcount(kernel, row, pageCount, vma.mm);
    if (total === pageCount) newlyMapped = 2 ** large.order[row];
  }
  if (newlyMapped > 0) countMappedPages(kernel, head, newlyMapped, 0);
}

/** Adds one to each page's mapcount; returns how many were not mapped before. */
function raisePageMapcounts(kernel: Kernel, page: number, pageCount: number): number {
  const { mapcount } = kernel.memory;
  let first = 0;
  const end = page + pageCount;
  for (let pfn = page; pfn < end; pfn += 1) {
    const count = mapcount[pfn] + 1;
    mapcount[pfn] = count;
    if (count === 1) first += 1;
  }
  return first;
}

function addEntire(kernel: Kernel, head: number, pages: number, vma: Vma, level: RmapLevel): void {
  folioRmapSanityChecks(kernel, head, head, pages, level);
  const { large } = kernel;
  const row = largeRow(kernel, head);
  large.entireMapcount[row] += 1;
  const isFirst = large.entireMapcount[row] === 1;
  let newlyMapped = 0;
  let pmdMapped = 0;
  if (kernel.profile.pageMapcount) {
    if (isFirst) {
      large.pagesMapped[row] += ENTIRELY_MAPPED;
      newlyMapped = Math.max(0, pages - (large.pagesMapped[row] & FOLIO_PAGES_MAPPED));
      if (level === RMAP_LEVEL_PMD) pmdMapped = pages;
    }
    folioAddReturnLargeMapcount(kernel, row, 1, vma.mm);
  } else {
    if (isFirst && level === RMAP_LEVEL_PMD) pmdMapped = pages;
    const total = folioAddReturnLargeMapcount(kernel, row, 1, vma.mm);
    if (total === 1) newlyMapped = pages;
  }
  countMappedPages(kernel, head, newlyMapped, pmdMapped);
}

/** A large folio is mlocked only by one call that maps all of it (spec 20 §7). */
function mlockWhole(kernel: Kernel, head: number, pageCount: number, vma: Vma): void {
  if ((vma.flags & VM_LOCKED) === 0) return;
  if (pageCount === folioPageCount(kernel, head)) mlockVmaFolio(kernel, head, vma);
}

function failExclusive(pfn: number): never {
  fail(`page ${pfn} is exclusive but mapped more than once`);
}
