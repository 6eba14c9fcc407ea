import { NIL, PAGES_PER_PMD, PMD_ORDER, tableEnd, tableStart } from '../../base/units.js';
import { cachedPageFlags, presentFlags, writtenFlags } from '../fault/pte_values.js';
import type { Kernel } from '../kernel.js';
import { folioGet, folioOrder, folioPageCount, pageIsPoisoned } from '../phys/folio.js';
import { PG_HEAD, PG_SWAPBACKED, PG_TAIL } from '../phys/page_flags.js';
import { PTE_LEAF, PTE_WRITE } from '../pgtable/pte.js';
import { folioAddFileRmapPmd, folioAddFileRmapPtes } from '../rmap/folio_rmap.js';
import { MM_FILEPAGES, MM_SHMEMPAGES } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import { VM_NOHUGEPAGE, VM_SHARED, VM_WRITE } from '../vm/vm_flags.js';

/** Whether the page belongs to a large folio: a cheap test before the call below. */
export function isLargePage(kernel: Kernel, pfn: number): boolean {
  return (kernel.memory.flags[pfn] & (PG_HEAD | PG_TAIL)) !== 0;
}

/**
 * Where a large page-cache folio of which page `pfn` belongs at `vpn` starts, if all of it lies in
 * the VMA and in one page table; else NIL.
 */
function fittingStart(kernel: Kernel, vma: Vma, vpn: number, pfn: number): number {
  const head = kernel.memory.folioOf(pfn);
  const pages = folioPageCount(kernel, head);
  const first = vpn - (pfn - head);
  if (first < vma.start || first + pages > vma.end) return NIL;
  return first < tableStart(vpn) || first + pages > tableEnd(vpn) ? NIL : first;
}

/**
 * Maps the 2 MiB folio around page `pfn`, at which a fault at `vpn` looks, by the PMD, if that is
 * empty and the folio aligned alike. @kernel filemap_map_pmd
 */
export function mapFolioByPmd(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  pfn: number,
  isWrite: boolean,
): boolean {
  const head = kernel.memory.folioOf(pfn);
  if (folioOrder(kernel, head) !== PMD_ORDER || !mayUsePmd(vma)) return false;
  if (!isPmdEmpty(kernel, vma, vpn) || fittingStart(kernel, vma, vpn, pfn) === NIL) return false;
  mapFilePmd(kernel, vma, vpn, head, isWrite);
  return true;
}

/**
 * Maps the whole large page-cache folio around page `pfn`, at which a fault at `vpn` wants to look:
 * by a PMD where that can be, else by PTEs if it fits and all entries there are empty (spec 98
 * §4.4). False: the fault maps one page. @kernel do_set_pmd @kernel finish_fault
 */
export function mapLargeFileFolio(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  pfn: number,
  isWrite: boolean,
): boolean {
  if (!isLargePage(kernel, pfn)) return false;
  if (mapFolioByPmd(kernel, vma, vpn, pfn, isWrite)) return true;
  const first = fittingStart(kernel, vma, vpn, pfn);
  if (first === NIL) return false;
  const head = kernel.memory.folioOf(pfn);
  const pages = folioPageCount(kernel, head);
  const entry = kernel.pageTables.allocPte(vma.mm.pgd, first);
  const { flags } = kernel.pageTables;
  for (let i = 0; i < pages; i += 1) if (flags[entry + i] !== 0) return false;
  mapFilePtes(kernel, vma, entry, head, pages, isWrite);
  return true;
}

/**
 * Fault-around met page `pfn` of a large folio, which belongs at `vpn` (`entry`): maps all of the
 * folio where that fits, else from here to `limit`. Returns the last page that it looked at.
 */
export function mapAroundFolio(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  entry: number,
  pfn: number,
  limit: number,
): number {
  const head = kernel.memory.folioOf(pfn);
  const pages = folioPageCount(kernel, head);
  const start = fittingStart(kernel, vma, vpn, pfn);
  if (start !== NIL) {
    mapFileRuns(kernel, vma, entry - (vpn - start), head, pages);
    return start + pages - 1;
  }
  const count = Math.min(limit - vpn, head + pages - pfn);
  mapFileRuns(kernel, vma, entry, pfn, count);
  return vpn + count - 1;
}

/**
 * Maps `pages` pages of a large folio from `pfn` on, where their entries are empty and the memory
 * is good. @kernel filemap_map_folio_range
 */
function mapFileRuns(kernel: Kernel, vma: Vma, entry: number, pfn: number, pages: number): void {
  const { flags } = kernel.pageTables;
  const isFree = (i: number): boolean => flags[entry + i] === 0 && !pageIsPoisoned(kernel, pfn + i);
  for (let i = 0; i < pages;) {
    let count = 0;
    while (i + count < pages && isFree(i + count)) count += 1;
    if (count > 0) mapFilePtes(kernel, vma, entry + i, pfn + i, count, false);
    i += Math.max(count, 1);
  }
}

/** Maps neighbouring pages of one folio into empty entries. @kernel set_pte_range */
function mapFilePtes(
  kernel: Kernel,
  vma: Vma,
  entry: number,
  pfn: number,
  pages: number,
  isWrite: boolean,
): void {
  const head = kernel.memory.folioOf(pfn);
  folioGet(kernel, head, pages);
  folioAddFileRmapPtes(kernel, head, pfn, pages, vma);
  const { payload, flags } = kernel.pageTables;
  for (let i = 0; i < pages; i += 1) payload[entry + i] = pfn + i;
  flags.fill(cachedPageFlags(kernel, vma, head, isWrite), entry, entry + pages);
  countFilePages(kernel, vma, head, pages);
}

function isPmdEmpty(kernel: Kernel, vma: Vma, vpn: number): boolean {
  const pmd = kernel.pageTables.findPmd(vma.mm.pgd, vpn);
  return pmd === NIL || kernel.pageTables.flags[pmd] === 0;
}

function mayUsePmd(vma: Vma): boolean {
  return (vma.flags & VM_NOHUGEPAGE) === 0 && !vma.mm.thpDisabled;
}

/**
 * Maps a 2 MiB page-cache folio by an empty PMD. Unlike a PTE it is clean after a read, even if the
 * folio is dirty. @kernel do_set_pmd
 */
export function mapFilePmd(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  head: number,
  isWrite: boolean,
): void {
  const { pageTables } = kernel;
  const pmd = pageTables.allocPmd(vma.mm.pgd, vpn);
  folioGet(kernel, head);
  folioAddFileRmapPmd(kernel, head, vma);
  const isWritable = (vma.flags & (VM_SHARED | VM_WRITE)) === (VM_SHARED | VM_WRITE);
  const readFlags = presentFlags(vma) | (isWritable ? PTE_WRITE : 0);
  pageTables.payload[pmd] = head;
  pageTables.flags[pmd] = (isWrite ? writtenFlags(vma) : readFlags) | PTE_LEAF;
  countFilePages(kernel, vma, head, PAGES_PER_PMD);
}

function countFilePages(kernel: Kernel, vma: Vma, head: number, pages: number): void {
  const isSwapbacked = (kernel.memory.flags[head] & PG_SWAPBACKED) !== 0;
  vma.mm.rss[isSwapbacked ? MM_SHMEMPAGES : MM_FILEPAGES] += pages;
}
