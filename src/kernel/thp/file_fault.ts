import { ENTRIES_PER_TABLE, NIL, PAGES_PER_PMD, PMD_ORDER } from '../../base/units.js';
import { cachedPageFlags, presentFlags, writtenFlags } from '../fault/pte_values.js';
import type { Kernel } from '../kernel.js';
import { folioGet, folioOrder } from '../phys/folio.js';
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
 * Maps the whole large page-cache folio around page `pfn`, at which a fault at `vpn` wants to look:
 * by a PMD if it is 2 MiB, aligned alike and the PMD is empty; else by PTEs if all of it lies in the
 * VMA and in one table whose entries there are empty (spec 98 §4.4). False: the fault maps less.
 * @kernel do_set_pmd @kernel finish_fault
 */
export function mapLargeFileFolio(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  pfn: number,
  isWrite: boolean,
): boolean {
  if (!isLargePage(kernel, pfn)) return false;
  const { memory, pageTables } = kernel;
  const head = memory.folioOf(pfn);
  const order = folioOrder(kernel, head);
  const pages = 2 ** order;
  const first = vpn - (pfn - head);
  if (first < vma.start || first + pages > vma.end) return false;
  const tableStart = vpn - (vpn % ENTRIES_PER_TABLE);
  if (first < tableStart || first + pages > tableStart + ENTRIES_PER_TABLE) return false;
  if (order === PMD_ORDER && isPmdEmpty(kernel, vma, vpn) && mayUsePmd(vma)) {
    mapFilePmd(kernel, vma, vpn, head, isWrite);
    return true;
  }
  const entry = pageTables.allocPte(vma.mm.pgd, first);
  const { payload, flags } = pageTables;
  for (let i = 0; i < pages; i += 1) if (flags[entry + i] !== 0) return false;
  folioGet(kernel, head, pages);
  folioAddFileRmapPtes(kernel, head, head, pages, vma);
  const pteFlags = cachedPageFlags(kernel, vma, head, isWrite);
  for (let i = 0; i < pages; i += 1) payload[entry + i] = head + i;
  flags.fill(pteFlags, entry, entry + pages);
  countFilePages(kernel, vma, head, pages);
  return true;
}

/**
 * Fault-around maps the pages of a large folio from `pfn` on, at most `limit`, as far as their
 * entries are empty. Returns how many. @kernel filemap_map_folio_range
 */
export function mapFileRun(
  kernel: Kernel,
  vma: Vma,
  entry: number,
  pfn: number,
  limit: number,
): number {
  const { memory, pageTables } = kernel;
  const { payload, flags } = pageTables;
  const head = memory.folioOf(pfn);
  const most = Math.min(limit, head + 2 ** folioOrder(kernel, head) - pfn);
  let count = 1;
  while (count < most && flags[entry + count] === 0) count += 1;
  folioGet(kernel, head, count);
  folioAddFileRmapPtes(kernel, head, pfn, count, vma);
  const pteFlags = cachedPageFlags(kernel, vma, head, false);
  for (let i = 0; i < count; i += 1) payload[entry + i] = pfn + i;
  flags.fill(pteFlags, entry, entry + count);
  countFilePages(kernel, vma, head, count);
  return count;
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
