/**
 * fork duplicates mappings: counts only. Statistics do not change, since the parent's mapping
 * keeps every page mapped already (spec 20 §3.6). Both page-table locks are held.
 */
import { fail } from '../../base/errors.js';
import { PAGES_PER_PMD } from '../../base/units.js';
import { EBUSY } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { folioMaybeDmaPinned } from '../phys/folio.js';
import { largeRow } from '../phys/large_folio.js';
import { MAPPING_ANON } from '../phys/memory.js';
import { PG_ANON_EXCLUSIVE, PG_DEVICE_PRIVATE, PG_HEAD, PG_ZERO } from '../phys/page_flags.js';
import type { Vma } from '../vm/vma.js';
import { folioAddReturnLargeMapcount } from './large_mapcount.js';
import { folioRmapSanityChecks } from './rmap_checks.js';
import { RMAP_LEVEL_PMD, RMAP_LEVEL_PTE } from './rmap_level.js';

/**
 * Whether fork must copy the folio now because a device may be reading or writing it.
 * Meaningful only while fork runs. @kernel folio_needs_cow_for_dma
 */
export function folioNeedsCowForDma(kernel: Kernel, vma: Vma, head: number): boolean {
  const { mm } = vma;
  if (!mm.hasPinned) return false;
  if ((mm.writeProtectSeq & 1) === 0) fail('a pin is judged outside of fork');
  return folioMaybeDmaPinned(kernel, head);
}

/**
 * The child maps `pageCount` pages of a file folio as its parent does.
 * @kernel folio_dup_file_rmap_ptes @kernel folio_dup_file_rmap_pte @kernel __folio_dup_file_rmap
 */
export function folioDupFileRmapPtes(
  kernel: Kernel,
  head: number,
  page: number,
  pageCount: number,
  childVma: Vma,
): void {
  const { flags, mapcount, mapping } = kernel.memory;
  if ((mapping[head] & MAPPING_ANON) !== 0) fail(`folio ${head} is anonymous`);
  if ((flags[head] & (PG_HEAD | PG_ZERO)) === 0) {
    if (pageCount !== 1) fail(`${pageCount} pages of small folio ${head} are duplicated`);
    mapcount[head] += 1;
    return;
  }
  folioRmapSanityChecks(kernel, head, page, pageCount, RMAP_LEVEL_PTE);
  dupLargePtes(kernel, head, page, pageCount, childVma);
}

/**
 * The child maps a file folio by a PMD as its parent does. fork never does this (file PMDs are
 * filled by faults), so nothing shows which of two behaviours holds:
 *
 * @param asInHeader The declaration in rmap.h passes the PTE level here, which raises the counts of
 *   512 pages instead of the entire mapcount (spec 20 §3.6). True reproduces that.
 * @kernel folio_dup_file_rmap_pmd
 */
export function folioDupFileRmapPmd(
  kernel: Kernel,
  head: number,
  childVma: Vma,
  asInHeader = false,
): void {
  if ((kernel.memory.mapping[head] & MAPPING_ANON) !== 0) fail(`folio ${head} is anonymous`);
  folioRmapSanityChecks(kernel, head, head, PAGES_PER_PMD, RMAP_LEVEL_PMD);
  if (asInHeader) dupLargePtes(kernel, head, head, PAGES_PER_PMD, childVma);
  else dupEntire(kernel, head, childVma);
}

/**
 * The child shares `pageCount` pages of an anonymous folio; they are exclusive no more.
 * Returns 0, or -EBUSY with nothing changed if the folio may be pinned and any of the pages is
 * exclusive: the child then needs copies.
 * @kernel folio_try_dup_anon_rmap_ptes @kernel folio_try_dup_anon_rmap_pte
 * @kernel __folio_try_dup_anon_rmap
 */
export function folioTryDupAnonRmapPtes(
  kernel: Kernel,
  head: number,
  page: number,
  pageCount: number,
  childVma: Vma,
  parentVma: Vma,
): number {
  const { flags, mapcount } = kernel.memory;
  const folioFlags = flags[head];
  if ((folioFlags & (PG_HEAD | PG_ZERO)) === 0) {
    if (pageCount !== 1) fail(`${pageCount} pages of small folio ${head} are duplicated`);
    if ((folioFlags & PG_ANON_EXCLUSIVE) !== 0) {
      if (parentVma.mm.hasPinned && mustCopy(kernel, head, parentVma)) return -EBUSY;
      flags[head] = folioFlags & ~PG_ANON_EXCLUSIVE;
    }
    mapcount[head] += 1;
    return 0;
  }
  return tryDupLargePtes(kernel, head, page, pageCount, childVma, parentVma);
}

function tryDupLargePtes(
  kernel: Kernel,
  head: number,
  page: number,
  pageCount: number,
  childVma: Vma,
  parentVma: Vma,
): number {
  const { flags, mapping } = kernel.memory;
  if ((mapping[head] & MAPPING_ANON) === 0) fail(`folio ${head} is not anonymous`);
  folioRmapSanityChecks(kernel, head, page, pageCount, RMAP_LEVEL_PTE);
  const end = page + pageCount;
  if (mustCopy(kernel, head, parentVma)) {
    for (let pfn = page; pfn < end; pfn += 1) {
      if ((flags[pfn] & PG_ANON_EXCLUSIVE) !== 0) return -EBUSY;
    }
  }
  for (let pfn = page; pfn < end; pfn += 1) flags[pfn] &= ~PG_ANON_EXCLUSIVE;
  dupLargePtes(kernel, head, page, pageCount, childVma);
  return 0;
}

/**
 * The child shares an anonymous folio that a PMD maps. Returns 0, or -EBUSY with nothing changed
 * if the folio may be pinned and is exclusive. @kernel folio_try_dup_anon_rmap_pmd
 */
export function folioTryDupAnonRmapPmd(
  kernel: Kernel,
  head: number,
  childVma: Vma,
  parentVma: Vma,
): number {
  const { flags, mapping } = kernel.memory;
  if ((mapping[head] & MAPPING_ANON) === 0) fail(`folio ${head} is not anonymous`);
  folioRmapSanityChecks(kernel, head, head, PAGES_PER_PMD, RMAP_LEVEL_PMD);
  if ((flags[head] & PG_ANON_EXCLUSIVE) !== 0) {
    if (mustCopy(kernel, head, parentVma)) return -EBUSY;
    flags[head] &= ~PG_ANON_EXCLUSIVE;
  }
  dupEntire(kernel, head, childVma);
  return 0;
}

/** Device-private pages cannot be pinned. */
function mustCopy(kernel: Kernel, head: number, parentVma: Vma): boolean {
  if ((kernel.memory.flags[head] & PG_DEVICE_PRIVATE) !== 0) return false;
  return folioNeedsCowForDma(kernel, parentVma, head);
}

function dupLargePtes(
  kernel: Kernel,
  head: number,
  page: number,
  pageCount: number,
  childVma: Vma,
): void {
  const { mapcount } = kernel.memory;
  if (kernel.profile.pageMapcount) {
    for (let pfn = page; pfn < page + pageCount; pfn += 1) mapcount[pfn] += 1;
  }
  folioAddReturnLargeMapcount(kernel, largeRow(kernel, head), pageCount, childVma.mm);
}

function dupEntire(kernel: Kernel, head: number, childVma: Vma): void {
  const row = largeRow(kernel, head);
  kernel.large.entireMapcount[row] += 1;
  folioAddReturnLargeMapcount(kernel, row, 1, childVma.mm);
}
