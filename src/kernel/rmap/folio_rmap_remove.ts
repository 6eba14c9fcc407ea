import { fail } from '../../base/errors.js';
import { PAGES_PER_PMD, PAGES_PER_PUD } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { largeRow } from '../phys/large_folio.js';
import { MAPPING_ANON } from '../phys/memory.js';
import { munlockVmaFolio } from '../phys/mlock.js';
import { PG_HEAD, PG_ZERO } from '../phys/page_flags.js';
import { deferredSplitFolio } from '../thp/deferred.js';
import { VM_LOCKED } from '../vm/vm_flags.js';
import type { Vma } from '../vm/vma.js';
import { folioSubReturnLargeMapcount } from './large_mapcount.js';
import { countMappedPages, folioRmapSanityChecks } from './rmap_checks.js';
import {
  ENTIRELY_MAPPED,
  RMAP_LEVEL_PMD,
  RMAP_LEVEL_PTE,
  RMAP_LEVEL_PUD,
  type RmapLevel,
} from './rmap_level.js';

/**
 * `pageCount` PTEs of a folio, from page `page` on, are gone from the page table. The folio's
 * mapping stays as it is; the caller drops the references afterwards (spec 20 §2, §3.2).
 * Caller holds the page-table lock. @kernel folio_remove_rmap_ptes @kernel folio_remove_rmap_pte
 */
export function folioRemoveRmapPtes(
  kernel: Kernel,
  head: number,
  page: number,
  pageCount: number,
  vma: Vma,
): void {
  const { flags, mapcount, mapping } = kernel.memory;
  if ((flags[head] & (PG_HEAD | PG_ZERO)) === 0) {
    const count = mapcount[head] - 1;
    mapcount[head] = count;
    if (count <= 0) {
      if (count < 0 || pageCount !== 1) fail(`page ${head} is unmapped more often than mapped`);
      if ((mapping[head] & MAPPING_ANON) !== 0) kernel.stats.anonMapped -= 1;
      else kernel.stats.fileMapped -= 1;
    }
  } else {
    removeLargePtes(kernel, head, page, pageCount, vma);
  }
  if ((vma.flags & VM_LOCKED) !== 0) munlockVmaFolio(kernel, head, vma);
}

/** A PMD that mapped the whole folio is gone. @kernel folio_remove_rmap_pmd */
export function folioRemoveRmapPmd(kernel: Kernel, head: number, vma: Vma): void {
  removeEntire(kernel, head, PAGES_PER_PMD, vma, RMAP_LEVEL_PMD);
  if ((vma.flags & VM_LOCKED) !== 0) munlockVmaFolio(kernel, head, vma);
}

/** A PUD that mapped the whole folio is gone. @kernel folio_remove_rmap_pud */
export function folioRemoveRmapPud(kernel: Kernel, head: number, vma: Vma): void {
  removeEntire(kernel, head, PAGES_PER_PUD, vma, RMAP_LEVEL_PUD);
  if ((vma.flags & VM_LOCKED) !== 0) munlockVmaFolio(kernel, head, vma);
}

/** @kernel __folio_remove_rmap */
function removeLargePtes(
  kernel: Kernel,
  head: number,
  page: number,
  pageCount: number,
  vma: Vma,
): void {
  folioRmapSanityChecks(kernel, head, page, pageCount, RMAP_LEVEL_PTE);
  const { large } = kernel;
  const row = largeRow(kernel, head);
  let unmapped = 0;
  let partially = false;
  // The total falls before the pages' own counts: the reuse check relies on it.
  const total = folioSubReturnLargeMapcount(kernel, row, pageCount, vma.mm);
  if (kernel.profile.pageMapcount) {
    const last = lowerPageMapcounts(kernel, page, pageCount);
    if (last > 0) {
      large.pagesMapped[row] -= last;
      if (large.pagesMapped[row] < ENTIRELY_MAPPED) unmapped = last;
    }
    partially = unmapped > 0 && large.pagesMapped[row] !== 0;
  } else if (total === 0) {
    unmapped = 2 ** large.order[row];
  } else {
    partially = total < 2 ** large.order[row] && large.entireMapcount[row] === 0;
  }
  if (partially) deferPartiallyMapped(kernel, head, row);
  if (unmapped > 0) countMappedPages(kernel, head, -unmapped, 0);
}

/** Takes one from each page's mapcount; returns how many are not mapped any more. */
function lowerPageMapcounts(kernel: Kernel, page: number, pageCount: number): number {
  const { mapcount } = kernel.memory;
  let last = 0;
  const end = page + pageCount;
  for (let pfn = page; pfn < end; pfn += 1) {
    const count = mapcount[pfn] - 1;
    mapcount[pfn] = count;
    if (count > 0) continue;
    if (count < 0) fail(`page ${pfn} is unmapped more often than mapped`);
    last += 1;
  }
  return last;
}

function removeEntire(
  kernel: Kernel,
  head: number,
  pages: number,
  vma: Vma,
  level: RmapLevel,
): void {
  folioRmapSanityChecks(kernel, head, head, pages, level);
  const { large } = kernel;
  const row = largeRow(kernel, head);
  let unmapped = 0;
  let pmdUnmapped = 0;
  let partially = false;
  const total = folioSubReturnLargeMapcount(kernel, row, 1, vma.mm);
  large.entireMapcount[row] -= 1;
  if (large.entireMapcount[row] < 0) fail(`folio ${head} has no entry that maps all of it`);
  const isLast = large.entireMapcount[row] === 0;
  if (isLast && level === RMAP_LEVEL_PMD) pmdUnmapped = pages;
  if (kernel.profile.pageMapcount) {
    if (isLast) {
      large.pagesMapped[row] -= ENTIRELY_MAPPED;
      unmapped = Math.max(0, pages - large.pagesMapped[row]);
      partially = unmapped > 0 && unmapped < pmdUnmapped;
    }
  } else if (total === 0) {
    unmapped = pages;
  } else {
    partially = isLast && total < pages;
  }
  if (partially) deferPartiallyMapped(kernel, head, row);
  countMappedPages(kernel, head, -unmapped, -pmdUnmapped);
}

/** A part of the folio is mapped by nobody: worth splitting, if it is anonymous. */
function deferPartiallyMapped(kernel: Kernel, head: number, row: number): void {
  if ((kernel.memory.mapping[head] & MAPPING_ANON) === 0) return;
  if (kernel.large.partiallyMapped[row] !== 0) return;
  deferredSplitFolio(kernel, head, true);
}
