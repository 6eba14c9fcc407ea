import { ENTRIES_PER_TABLE, NIL, tableEnd, tableIndex } from '../../base/units.js';
import { zapHugetlbRange } from '../hugetlb/zap.js';
import type { Kernel } from '../kernel.js';
import { folioPut, isAnonFolio } from '../phys/folio.js';
import { folioMarkAccessed } from '../phys/mark_accessed.js';
import { PG_DIRTY, PG_HEAD, PG_SWAPBACKED } from '../phys/page_flags.js';
import {
  isDeviceEntry,
  isMigration,
  KIND_MARKER,
  KIND_MASK,
  KIND_SWAP,
  MARKER_GUARD,
  MARKER_UFFD_WP,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_TABLE,
  PTE_UFFD_WP,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import { flagsAlike } from '../pgtable/entry_run.js';
import { folioRemoveRmapPtes } from '../rmap/folio_rmap.js';
import { flushTlbBatchedPending } from '../rmap/tlb_batch.js';
import { flushTlbRange } from '../rmap/tlb_model.js';
import { freeSwapAndCache } from '../swap/swap_cache.js';
import { zapAnonRun } from './zap_run.js';
import { zapHugePmd } from '../thp/zap_pmd.js';
import { MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES, MM_SWAPENTS, type Mm } from '../vm/mm.js';
import { hasRecency, type Vma } from '../vm/vma.js';
import { VM_HUGETLB, VM_LOCKED } from '../vm/vm_flags.js';

/** What a zap removes and what it spares. @kernel zap_details */
export interface ZapOptions {
  /** Keep guard markers (madvise dontneed, truncation). */
  readonly keepMarkers: boolean;
  /** Also private copies of a file mapping; false for hole punching. */
  readonly evenCows: boolean;
  /** Free page tables of whole 2 MiB blocks (madvise dontneed). */
  readonly reclaimTables: boolean;
}

/** munmap, exit, and mapping over something. */
export const ZAP_ALL: ZapOptions = { keepMarkers: false, evenCows: true, reclaimTables: false };

/**
 * Removes the entries of [start, end), a range inside the VMA, and what they hold (spec 50 §1.1).
 * @kernel unmap_page_range
 */
export function zapPageRange(
  kernel: Kernel,
  vma: Vma,
  start: number,
  end: number,
  options: ZapOptions,
): void {
  if ((vma.flags & VM_HUGETLB) !== 0) zapHugetlbRange(kernel, vma, start, end);
  else zapTables(kernel, vma, start, end, options);
  flushTlbRange(kernel, vma.mm, start, end);
}

function zapTables(
  kernel: Kernel,
  vma: Vma,
  start: number,
  end: number,
  options: ZapOptions,
): void {
  const { pageTables } = kernel;
  const { pgd } = vma.mm;
  let at = start;
  while (at < end) {
    const blockEnd = Math.min(tableEnd(at), end);
    const pmd = pageTables.findPmd(pgd, at);
    if (pmd === NIL) {
      at = pageTables.skipHole(pgd, at, end);
      continue;
    }
    let flags = pageTables.flags[pmd];
    if (flags !== 0 && (flags & PTE_TABLE) === 0) {
      zapHugePmd(kernel, vma, pmd, at, blockEnd, options);
      flags = pageTables.flags[pmd];
    }
    if ((flags & PTE_TABLE) !== 0) {
      const from = pageTables.payload[pmd] * ENTRIES_PER_TABLE + tableIndex(at);
      zapPtes(kernel, vma, at, from, from + (blockEnd - at), options);
      if (options.reclaimTables && blockEnd - at === ENTRIES_PER_TABLE) freeIfEmpty(kernel, pmd);
    }
    at = blockEnd;
  }
}

/** @kernel zap_pte_range */
function zapPtes(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  from: number,
  to: number,
  options: ZapOptions,
): void {
  flushTlbBatchedPending(kernel, vma.mm);
  const { flags } = kernel.pageTables;
  const isLocked = (vma.flags & VM_LOCKED) !== 0;
  for (let entry = from; entry < to; entry += 1) {
    const pte = flags[entry];
    if (pte === 0) {
      // A tight loop of its own: tables are often empty behind a move.
      entry += flagsAlike(kernel.pageTables, entry, to, 0) - 1;
      continue;
    }
    if ((pte & PTE_PRESENT) === 0) {
      zapNonPresent(kernel, vma, entry, pte, options);
      continue;
    }
    if ((pte & PTE_SPECIAL) !== 0) {
      flags[entry] = 0;
      if ((pte & PTE_DIRTY) !== 0) vma.mm.ksmZeroPages -= 1;
      continue;
    }
    const at = vpn + (entry - from);
    if (options.evenCows && !isLocked) {
      const done = zapAnonRun(kernel, vma.mm, at, entry, to);
      if (done > 0) {
        entry += done - 1;
        continue;
      }
    }
    entry = zapFolioBatch(kernel, vma, at, entry, to, options);
  }
}

/**
 * Zaps the run of entries from `first` that maps consecutive pages of one folio. Returns the last
 * entry of the run.
 */
function zapFolioBatch(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  first: number,
  to: number,
  options: ZapOptions,
): number {
  const { memory } = kernel;
  const { payload, flags } = kernel.pageTables;
  const pfn = payload[first];
  const head = memory.folioOf(pfn);
  const isAnon = isAnonFolio(kernel, head);
  if (isAnon && !options.evenCows) return first;
  let count = 1;
  let allFlags = flags[first];
  if ((memory.flags[head] & PG_HEAD) !== 0) {
    const folioEnd = head + (1 << kernel.large.order[memory.next[head + 1]]);
    const most = Math.min(to - first, folioEnd - pfn);
    for (; count < most; count += 1) {
      const pte = flags[first + count];
      if (payload[first + count] !== pfn + count) break;
      if ((pte & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) break;
      allFlags |= pte;
    }
  }
  const isDirty = (allFlags & PTE_DIRTY) !== 0;
  const isYoung = (allFlags & PTE_YOUNG) !== 0;
  if (kernel.tracer !== undefined) {
    for (let i = 0; i < count; i += 1) {
      kernel.tracer.pageZapped?.(vma.mm, vpn + i, pfn + i, memory.mapcount[pfn + i]);
    }
  }
  if ((allFlags & PTE_UFFD_WP) !== 0 && options.keepMarkers && vma.file !== undefined) {
    leaveMarkers(kernel, first, count);
  } else {
    flags.fill(0, first, first + count);
  }
  if (isAnon) {
    vma.mm.rss[MM_ANONPAGES] -= count;
  } else {
    if (isDirty) memory.flags[head] |= PG_DIRTY;
    if (isYoung && hasRecency(vma)) folioMarkAccessed(kernel, head);
    const isSwapbacked = (memory.flags[head] & PG_SWAPBACKED) !== 0;
    vma.mm.rss[isSwapbacked ? MM_SHMEMPAGES : MM_FILEPAGES] -= count;
  }
  folioRemoveRmapPtes(kernel, head, pfn, count, vma);
  folioPut(kernel, head, count);
  return first + count - 1;
}

/** Where pages were write-protected a marker says so. */
function leaveMarkers(kernel: Kernel, first: number, count: number): void {
  const { payload, flags } = kernel.pageTables;
  for (let entry = first; entry < first + count; entry += 1) {
    const wasProtected = (flags[entry] & PTE_UFFD_WP) !== 0;
    flags[entry] = wasProtected ? KIND_MARKER : 0;
    if (wasProtected) payload[entry] = MARKER_UFFD_WP;
  }
}

function zapNonPresent(
  kernel: Kernel,
  vma: Vma,
  entry: number,
  pte: number,
  options: ZapOptions,
): void {
  const { payload, flags } = kernel.pageTables;
  const kind = pte & KIND_MASK;
  if (kind === KIND_MARKER) {
    // A file's write-protect markers stay too: its pages can come back.
    const kept = vma.file === undefined ? MARKER_GUARD : MARKER_GUARD | MARKER_UFFD_WP;
    if (options.keepMarkers && (payload[entry] & kept) !== 0) return;
    flags[entry] = 0;
    return;
  }
  if (kind === KIND_SWAP) {
    if (!options.evenCows) return;
    flags[entry] = 0;
    vma.mm.rss[MM_SWAPENTS] -= 1;
    freeSwapAndCache(kernel, payload[entry], 1);
    return;
  }
  if (isMigration(pte) || isDeviceEntry(pte)) {
    const pfn = payload[entry];
    const head = kernel.memory.folioOf(pfn);
    const isAnon = isAnonFolio(kernel, head);
    if (isAnon && !options.evenCows) return;
    flags[entry] = 0;
    const isSwapbacked = (kernel.memory.flags[head] & PG_SWAPBACKED) !== 0;
    vma.mm.rss[isAnon ? MM_ANONPAGES : isSwapbacked ? MM_SHMEMPAGES : MM_FILEPAGES] -= 1;
    if (isDeviceEntry(pte)) {
      folioRemoveRmapPtes(kernel, head, pfn, 1, vma);
      folioPut(kernel, head);
    }
    return;
  }
  flags[entry] = 0;
}

/** Frees the PTE table below a PMD entry if nothing is in it. */
export function freeIfEmpty(kernel: Kernel, pmd: number): void {
  const { pageTables } = kernel;
  const node = pageTables.payload[pmd];
  const from = node * ENTRIES_PER_TABLE;
  const { flags } = pageTables;
  for (let entry = from; entry < from + ENTRIES_PER_TABLE; entry += 1) {
    if (flags[entry] !== 0) return;
  }
  pageTables.flags[pmd] = 0;
  pageTables.freeNode(node);
}

/**
 * Frees the page tables that only [start, end) used; everything in it is zapped. `floor` and
 * `ceiling` are the end of the mapping below and the start of the one above: a table that reaches
 * over them stays. @kernel free_pgtables
 */
export function freePgtables(
  kernel: Kernel,
  mm: Mm,
  start: number,
  end: number,
  floor: number,
  ceiling: number,
): void {
  freeLevel(kernel, mm.pgd, 27, start, end, floor, ceiling, 0);
}

/** Frees child tables of the node whose entries span 2^shift pages each. */
function freeLevel(
  kernel: Kernel,
  node: number,
  shift: number,
  start: number,
  end: number,
  floor: number,
  ceiling: number,
  base: number,
): void {
  const { pageTables } = kernel;
  const span = 2 ** shift;
  const firstIndex = Math.max(0, Math.floor((start - base) / span));
  const lastIndex = Math.min(ENTRIES_PER_TABLE - 1, Math.floor((end - 1 - base) / span));
  for (let index = firstIndex; index <= lastIndex; index += 1) {
    const entry = node * ENTRIES_PER_TABLE + index;
    if ((pageTables.flags[entry] & PTE_TABLE) === 0) continue;
    const child = pageTables.payload[entry];
    const childBase = base + index * span;
    if (shift > 9) {
      freeLevel(kernel, child, shift - 9, start, end, floor, ceiling, childBase);
    }
    if (childBase < floor || childBase + span > ceiling) continue;
    pageTables.flags[entry] = 0;
    pageTables.freeNode(child);
  }
}
