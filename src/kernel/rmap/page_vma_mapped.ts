/**
 * Finds the entries of one VMA that map given pages (spec 40 §2).
 *
 * The walk takes the page-table lock only for entries that may be the wanted ones; everything
 * before that looks without a lock and is checked again under it.
 */
import { fail } from '../../base/errors.js';
import {
  ENTRIES_PER_TABLE,
  NIL,
  PAGES_PER_PMD,
  PAGES_PER_PUD,
  tableIndex,
  tableStart,
} from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { canInterleave, downWrite, readPoint, upWrite, type Op } from '../op/prims.js';
import { folioPageCount } from '../phys/folio.js';
import { isDeviceEntry, isMigration, PTE_PRESENT, PTE_TABLE } from '../pgtable/pte.js';
import type { Vma } from '../vm/vma.js';
import { VM_HUGETLB } from '../vm/vm_flags.js';
import { vmaAddressEnd } from './vma_address.js';

/** Wait for changes that are half done, so that no mapping is missed. @kernel PVMW_SYNC */
export const PVMW_SYNC = 1 << 0;
/** Look for migration entries instead of present ones. @kernel PVMW_MIGRATION */
export const PVMW_MIGRATION = 1 << 1;
/** Set by the walk: it has left one page table for the next. @kernel PVMW_PGTABLE_CROSSED */
export const PVMW_PGTABLE_CROSSED = 1 << 16;

/** PGD entries span this many pages. */
const PAGES_PER_PGD = 2 ** 27;

/**
 * Cursor of one walk; `begin` makes it ready for another, so that a whole reverse-map walk needs
 * one. While an entry is found, the page-table lock of the VMA's mm is held.
 * @kernel page_vma_mapped_walk
 */
export class PageVmaMappedWalk {
  /** First page looked for. @kernel page_vma_mapped_walk.pfn */
  pfn = 0;
  /** How many pages. @kernel page_vma_mapped_walk.nr_pages */
  pageCount = 0;
  /** Page offset of the first. @kernel page_vma_mapped_walk.pgoff */
  pgoff = 0;
  /** @kernel page_vma_mapped_walk.vma */
  private target: Vma | undefined = undefined;
  /**
   * Page where the walk is; of the found entry after an answer of true.
   * @kernel page_vma_mapped_walk.address
   */
  vpn = 0;
  /** PMD entry; with `pte` NIL a found huge entry. @kernel page_vma_mapped_walk.pmd */
  pmd = NIL;
  /** Found PTE (or hugetlb entry), or NIL. @kernel page_vma_mapped_walk.pte */
  pte = NIL;
  /** Whether the page-table lock is held. @kernel page_vma_mapped_walk.ptl */
  isLocked = false;
  /** `PVMW_*` bits. @kernel page_vma_mapped_walk.flags */
  flags = 0;
  /** Node of the PTE table that `pte` was taken from without the lock. */
  table = NIL;

  get vma(): Vma {
    const { target } = this;
    if (target === undefined) fail('a page-table walk is used before it begins');
    return target;
  }

  /** Looks for the pages [pfn, pfn + pageCount), whose first has offset `pgoff`, from `vpn` on. */
  begin(pfn: number, pageCount: number, pgoff: number, vma: Vma, vpn: number, flags: number): void {
    if (this.isLocked) fail('a page-table walk begins while another holds its lock');
    this.pfn = pfn;
    this.pageCount = pageCount;
    this.pgoff = pgoff;
    this.target = vma;
    this.vpn = vpn;
    this.pmd = NIL;
    this.pte = NIL;
    this.flags = flags;
  }

  /** Looks for all pages of a folio. @kernel DEFINE_FOLIO_VMA_WALK */
  beginFolio(kernel: Kernel, head: number, vma: Vma, vpn: number, flags: number): void {
    this.begin(head, folioPageCount(kernel, head), kernel.memory.index[head], vma, vpn, flags);
  }
}

/**
 * Releases what an answer of true holds, when the caller wants no more of the walk.
 * @kernel page_vma_mapped_walk_done
 */
export function* pageVmaMappedWalkDone(walk: PageVmaMappedWalk): Op<void> {
  if (walk.isLocked) yield* unlock(walk);
}

/**
 * Drops the lock and forgets the entry: the caller changed the tables, and the next call looks
 * again from the same page. @kernel page_vma_mapped_walk_restart
 */
export function* pageVmaMappedWalkRestart(walk: PageVmaMappedWalk): Op<void> {
  if (!walk.isLocked) fail('a page-table walk restarts without holding its lock');
  yield* unlock(walk);
  walk.pmd = NIL;
  walk.pte = NIL;
}

/**
 * Goes to the next entry that maps a wanted page. True: found, with the page-table lock held, and
 * `pmd` only (a huge entry) or `pte` set. False: there is no more, and nothing is held.
 * @kernel page_vma_mapped_walk
 */
export function* pageVmaMappedWalk(kernel: Kernel, walk: PageVmaMappedWalk): Op<boolean> {
  // A huge entry is the only mapping of its pages in a VMA, and so is the entry of a single page.
  if (walk.pmd !== NIL && (walk.pte === NIL || walk.pageCount === 1)) return yield* notFound(walk);
  if (!canInterleave && walk.pageCount === 1) {
    const { pageTables } = kernel;
    const pmd = pageTables.findPmd(walk.vma.mm.pgd, walk.vpn);
    if (pmd !== NIL && isTable(kernel, pmd)) {
      walk.pmd = pmd;
      return isFoundAt(kernel, walk, pageTables.payload[pmd] * ENTRIES_PER_TABLE);
    }
  }
  return yield* walkTables(kernel, walk);
}

/**
 * The one PTE of a single page in a table that nobody changes meanwhile, looked at once. Most walks
 * end here: 48 ns instead of 82 by the steps that others can come between.
 */
function isFoundAt(kernel: Kernel, walk: PageVmaMappedWalk, table: number): boolean {
  const pte = table + tableIndex(walk.vpn);
  if (kernel.pageTables.payload[pte] !== walk.pfn) return false;
  if (!isWanted(kernel.pageTables.flags[pte], walk.flags)) return false;
  walk.pte = pte;
  walk.isLocked = true;
  kernel.work.rmapMappingsFound += 1;
  return true;
}

/** The same by every step. */
function* walkTables(kernel: Kernel, walk: PageVmaMappedWalk): Op<boolean> {
  const { vma } = walk;
  if ((vma.flags & VM_HUGETLB) !== 0) return yield* walkHugetlb(kernel, walk);
  const end = vmaAddressEnd(vma, walk.vpn, walk.pgoff, walk.pageCount);
  const { pageTables } = kernel;
  let isFresh = walk.pte === NIL;
  for (;;) {
    if (isFresh) {
      const found = yield* findTable(kernel, walk, end);
      if (!found) return yield* notFound(walk);
      if (walk.pte === NIL || (walk.isLocked && checkPte(kernel, walk, 1))) {
        kernel.work.rmapMappingsFound += 1;
        return true;
      }
    }
    isFresh = yield* nextPte(kernel, walk, end);
    if (walk.vpn >= end) return yield* notFound(walk);
    if (isFresh) continue;
    if (!walk.isLocked) {
      yield* lock(walk);
      if (!isSameTable(pageTables.flags[walk.pmd], pageTables.payload[walk.pmd], walk)) {
        yield* unlock(walk);
        walk.pte = NIL;
        isFresh = true;
        continue;
      }
    }
    if (checkPte(kernel, walk, 1)) {
      kernel.work.rmapMappingsFound += 1;
      return true;
    }
  }
}

/**
 * Goes from the table's current entry to the next that is not none. True if the table ended, which
 * leaves no entry and no lock; at the end of the range `vpn` says so.
 */
function* nextPte(kernel: Kernel, walk: PageVmaMappedWalk, end: number): Op<boolean> {
  for (;;) {
    walk.vpn += 1;
    if (walk.vpn >= end) return false;
    if (tableIndex(walk.vpn) === 0) {
      if (walk.isLocked) yield* unlock(walk);
      walk.flags |= PVMW_PGTABLE_CROSSED;
      walk.pte = NIL;
      return true;
    }
    walk.pte += 1;
    if (!walk.isLocked) yield* readPoint('pte', walk.pte);
    if (kernel.pageTables.flags[walk.pte] !== 0) return false;
  }
}

/**
 * Finds the next huge entry or PTE table at or behind `vpn`. True: a huge entry (`pte` NIL), or a
 * PTE, locked only if it may be a wanted one. False: there is none before `end`.
 */
function* findTable(kernel: Kernel, walk: PageVmaMappedWalk, end: number): Op<boolean> {
  const { pageTables } = kernel;
  const { pgd } = walk.vma.mm;
  while (walk.vpn < end) {
    const pmd = pageTables.findPmd(pgd, walk.vpn);
    walk.pmd = pmd;
    if (pmd === NIL) {
      stepForward(walk, pageTables.findPud(pgd, walk.vpn) === NIL ? PAGES_PER_PGD : PAGES_PER_PUD);
      continue;
    }
    yield* readPoint('pmd', pmd);
    const pmdFlags = pageTables.flags[pmd];
    if (pmdFlags === 0) {
      if (mayBeHalfZapped(walk)) {
        yield* lock(walk);
        yield* unlock(walk);
      }
      stepForward(walk, PAGES_PER_PMD);
      continue;
    }
    if ((pmdFlags & PTE_TABLE) === 0) {
      yield* lock(walk);
      const now = pageTables.flags[pmd];
      if (now !== 0 && (now & PTE_TABLE) === 0) return isWantedPmd(kernel, walk, now);
      yield* unlock(walk);
    }
    if (yield* mapPte(kernel, walk)) return true;
  }
  return false;
}

/**
 * Positions at the PTE of `vpn`. With SYNC always under the lock, otherwise only if the entry may
 * be a wanted one. False if the table is gone. @kernel map_pte
 */
function* mapPte(kernel: Kernel, walk: PageVmaMappedWalk): Op<boolean> {
  const { pageTables } = kernel;
  const { pmd } = walk;
  if ((walk.flags & PVMW_SYNC) !== 0) yield* lock(walk);
  if ((pageTables.flags[pmd] & PTE_TABLE) === 0) {
    if (walk.isLocked) yield* unlock(walk);
    return false;
  }
  walk.table = pageTables.payload[pmd];
  const pte = walk.table * ENTRIES_PER_TABLE + tableIndex(walk.vpn);
  walk.pte = pte;
  if (walk.isLocked) return true;
  yield* readPoint('pte', pte);
  if (!isCandidate(pageTables.flags[pte], walk.flags)) return true;
  yield* lock(walk);
  if (isSameTable(pageTables.flags[pmd], pageTables.payload[pmd], walk)) return true;
  yield* unlock(walk);
  walk.pte = NIL;
  return false;
}

function isCandidate(pteFlags: number, walkFlags: number): boolean {
  if ((walkFlags & PVMW_MIGRATION) !== 0) return pteFlags !== 0 && (pteFlags & PTE_PRESENT) === 0;
  return (pteFlags & PTE_PRESENT) !== 0 || isDeviceEntry(pteFlags);
}

/** Whether such a walk looks for entries of this kind. */
function isWanted(pteFlags: number, walkFlags: number): boolean {
  if ((walkFlags & PVMW_MIGRATION) !== 0) return isMigration(pteFlags);
  return (pteFlags & PTE_PRESENT) !== 0 || isDeviceEntry(pteFlags);
}

function isSameTable(pmdFlags: number, pmdPayload: number, walk: PageVmaMappedWalk): boolean {
  return (pmdFlags & PTE_TABLE) !== 0 && pmdPayload === walk.table;
}

/** Whether the entry maps wanted pages; `entryPages` is what one entry covers. @kernel check_pte */
function checkPte(kernel: Kernel, walk: PageVmaMappedWalk, entryPages: number): boolean {
  if (!isWanted(kernel.pageTables.flags[walk.pte], walk.flags)) return false;
  return overlaps(kernel.pageTables.payload[walk.pte], entryPages, walk);
}

/** Whether the locked huge entry is a wanted one. @kernel check_pmd */
function isWantedPmd(kernel: Kernel, walk: PageVmaMappedWalk, pmdFlags: number): boolean {
  const wantsMigration = (walk.flags & PVMW_MIGRATION) !== 0;
  const isPresent = (pmdFlags & PTE_PRESENT) !== 0;
  if (isPresent === wantsMigration || (!isPresent && !isMigration(pmdFlags))) return false;
  return overlaps(kernel.pageTables.payload[walk.pmd], PAGES_PER_PMD, walk);
}

function overlaps(pfn: number, pageCount: number, walk: PageVmaMappedWalk): boolean {
  return pfn < walk.pfn + walk.pageCount && walk.pfn < pfn + pageCount;
}

/** A zap clears the PMD before it lowers the mapcount: with SYNC the walk waits for it. */
function mayBeHalfZapped(walk: PageVmaMappedWalk): boolean {
  if ((walk.flags & PVMW_SYNC) === 0 || walk.pageCount < PAGES_PER_PMD) return false;
  const { start, end, pgoff, file } = walk.vma;
  const blockStart = tableStart(walk.vpn);
  if (blockStart < start || blockStart + PAGES_PER_PMD > end) return false;
  return file === undefined || (start - pgoff) % PAGES_PER_PMD === 0;
}

function stepForward(walk: PageVmaMappedWalk, span: number): void {
  walk.vpn += span - (walk.vpn % span);
}

/** A hugetlb VMA maps the folio by one entry, of PMD or PUD level. */
function* walkHugetlb(kernel: Kernel, walk: PageVmaMappedWalk): Op<boolean> {
  if (walk.pte !== NIL) return yield* notFound(walk);
  const { pageTables } = kernel;
  const { pgd } = walk.vma.mm;
  const pud = pageTables.findPud(pgd, walk.vpn);
  const isPudEntry = pud !== NIL && pageTables.flags[pud] !== 0 && !isTable(kernel, pud);
  const entry = isPudEntry ? pud : pageTables.findPmd(pgd, walk.vpn);
  if (entry === NIL) return false;
  walk.pte = entry;
  yield* lock(walk);
  if (
    !isTable(kernel, entry) &&
    checkPte(kernel, walk, isPudEntry ? PAGES_PER_PUD : PAGES_PER_PMD)
  ) {
    kernel.work.rmapMappingsFound += 1;
    return true;
  }
  return yield* notFound(walk);
}

function isTable(kernel: Kernel, entry: number): boolean {
  return (kernel.pageTables.flags[entry] & PTE_TABLE) !== 0;
}

function* notFound(walk: PageVmaMappedWalk): Op<false> {
  if (walk.isLocked) yield* unlock(walk);
  return false;
}

function* lock(walk: PageVmaMappedWalk): Op<void> {
  yield* downWrite(walk.vma.mm.pageTableLock);
  walk.isLocked = true;
}

function* unlock(walk: PageVmaMappedWalk): Op<void> {
  walk.isLocked = false;
  yield* upWrite(walk.vma.mm.pageTableLock);
}
