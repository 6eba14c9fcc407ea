import { ENTRIES_PER_TABLE, NIL, PAGES_PER_PMD, tableEnd, tableIndex } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioMapcount, folioMaybeMappedShared, folioPageCount, folioPut } from '../phys/folio.js';
import { MAPPING_ANON } from '../phys/memory.js';
import {
  PG_ACTIVE,
  PG_DIRTY,
  PG_HEAD,
  PG_LRU,
  PG_REFERENCED,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  PG_TAIL,
  PG_UNEVICTABLE,
  PG_WORKINGSET,
  PG_YOUNG,
} from '../phys/page_flags.js';
import {
  KIND_HWPOISON,
  KIND_MARKER,
  KIND_MASK,
  MARKER_POISONED,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_TABLE,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import { flushTlbBatchedPending } from '../rmap/tlb_batch.js';
import { flushTlbRange } from '../rmap/tlb_model.js';
import { folioFreeSwap, freeSwapAndCache } from '../swap/swap_cache.js';
import { isSwapPte } from '../swap/swap_pte.js';
import { splitFolio } from '../thp/split.js';
import { MM_SWAPENTS } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import { folioIsolateLru } from './isolate.js';
import { reclaimPages } from './shrink_list.js';

/**
 * Treats one folio that the range covers: `count` entries from `entry` map it, or one huge entry.
 * Appends to `isolated` what shall be reclaimed.
 */
type VisitFolio = (
  kernel: Kernel,
  entry: number,
  head: number,
  count: number,
  isolated: number[],
) => void;

/** MADV_COLD: pages that only this process maps become old and inactive. @kernel madvise_cold */
export function* madviseCold(kernel: Kernel, vma: Vma, start: number, end: number): Op<number> {
  yield* adviseRange(kernel, vma, start, end, COLD);
  return 0;
}

/** MADV_PAGEOUT: the same pages are reclaimed, used or not. @kernel madvise_pageout */
export function* madvisePageout(kernel: Kernel, vma: Vma, start: number, end: number): Op<number> {
  yield* adviseRange(kernel, vma, start, end, PAGEOUT);
  return 0;
}

/**
 * MADV_FREE: pages may be dropped instead of swapped until they are written again. Swap entries in
 * the range go at once. @kernel madvise_free_single_vma
 */
export function* madviseFree(kernel: Kernel, vma: Vma, start: number, end: number): Op<number> {
  yield* adviseRange(kernel, vma, start, end, FREE);
  return 0;
}

interface Advice {
  /** Only folios whose every mapping is in the range are touched. */
  readonly needsSole: boolean;
  readonly visit: VisitFolio;
  /** FREE: swap entries and poison markers go. */
  readonly dropsSwap: boolean;
}

const COLD: Advice = { needsSole: true, visit: makeCold, dropsSwap: false };
const PAGEOUT: Advice = { needsSole: true, visit: makeColdAndIsolate, dropsSwap: false };
const FREE: Advice = { needsSole: false, visit: makeLazyFree, dropsSwap: true };

function* adviseRange(
  kernel: Kernel,
  vma: Vma,
  start: number,
  end: number,
  advice: Advice,
): Op<void> {
  const { pageTables } = kernel;
  const { pgd } = vma.mm;
  const isolated: number[] = [];
  flushTlbBatchedPending(kernel, vma.mm);
  let at = start;
  while (at < end) {
    const blockEnd = Math.min(tableEnd(at), end);
    const pmd = pageTables.findPmd(pgd, at);
    if (pmd === NIL) {
      at = pageTables.skipHole(pgd, at, end);
      continue;
    }
    const flags = pageTables.flags[pmd];
    if (flags !== 0 && (flags & PTE_TABLE) === 0) {
      yield* adviseHugePmd(kernel, pmd, at, blockEnd, advice, isolated);
    }
    if ((pageTables.flags[pmd] & PTE_TABLE) !== 0) {
      yield* advisePtes(kernel, vma, pmd, at, blockEnd, advice, isolated);
    }
    // Dirty and accessed bits are set anew only through fresh translations.
    flushTlbRange(kernel, vma.mm, at, blockEnd);
    if (isolated.length > 0) {
      yield* reclaimPages(kernel, isolated);
      isolated.length = 0;
    }
    at = blockEnd;
  }
}

/** A whole PMD is advised as one page; a part splits its folio (spec 98 §5.1). */
function* adviseHugePmd(
  kernel: Kernel,
  pmd: number,
  at: number,
  blockEnd: number,
  advice: Advice,
  isolated: number[],
): Op<void> {
  const { pageTables, memory } = kernel;
  const head = pageTables.payload[pmd];
  if ((pageTables.flags[pmd] & PTE_PRESENT) === 0 || head === memory.hugeZeroPfn) return;
  if (folioMaybeMappedShared(kernel, head)) return;
  if (blockEnd - at === PAGES_PER_PMD) {
    advice.visit(kernel, pmd, head, 1, isolated);
    return;
  }
  yield* trySplit(kernel, head);
}

/** Splits a folio to small ones if nobody else holds it. */
function* trySplit(kernel: Kernel, head: number): Op<boolean> {
  kernel.memory.refcount[head] += 1;
  const failed = yield* splitFolio(kernel, head);
  folioPut(kernel, head);
  return failed === 0;
}

function* advisePtes(
  kernel: Kernel,
  vma: Vma,
  pmd: number,
  at: number,
  blockEnd: number,
  advice: Advice,
  isolated: number[],
): Op<void> {
  const { pageTables, memory } = kernel;
  const from = pageTables.payload[pmd] * ENTRIES_PER_TABLE + tableIndex(at);
  const to = from + (blockEnd - at);
  const { mapcount } = memory;
  let entry = from;
  while (entry < to) {
    // A split may have replaced the columns.
    const { payload, flags } = pageTables;
    const pte = flags[entry];
    if ((pte & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) {
      if (pte !== 0 && advice.dropsSwap) dropNonPresent(kernel, vma, entry, pte);
      entry += 1;
      continue;
    }
    const pfn = payload[entry];
    if ((memory.flags[pfn] & (PG_HEAD | PG_TAIL)) === 0) {
      // Small folio: the common case.
      if (!advice.needsSole || mapcount[pfn] === 1) advice.visit(kernel, entry, pfn, 1, isolated);
      entry += 1;
      continue;
    }
    const head = memory.folioOf(pfn);
    const pages = folioPageCount(kernel, head);
    const count = batchLength(kernel, entry, to, head + pages);
    if (count < pages) {
      const isShared = folioMaybeMappedShared(kernel, head);
      // After a split the same entry is looked at again: it may map the zero page now.
      if (isShared || !(yield* trySplit(kernel, head))) entry += count;
      continue;
    }
    if (!advice.needsSole || folioMapcount(kernel, head) === pages) {
      advice.visit(kernel, entry, head, count, isolated);
    }
    entry += count;
  }
}

/** Entries from `first` that map consecutive pages of the folio that ends before `folioEnd`. */
function batchLength(kernel: Kernel, first: number, to: number, folioEnd: number): number {
  const { payload, flags } = kernel.pageTables;
  const pfn = payload[first];
  const limit = Math.min(to - first, folioEnd - pfn);
  let count = 1;
  while (
    count < limit &&
    payload[first + count] === pfn + count &&
    (flags[first + count] & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT
  ) {
    count += 1;
  }
  return count;
}

function dropNonPresent(kernel: Kernel, vma: Vma, entry: number, pte: number): void {
  const { payload, flags } = kernel.pageTables;
  if (isSwapPte(pte)) {
    flags[entry] = 0;
    vma.mm.rss[MM_SWAPENTS] -= 1;
    freeSwapAndCache(kernel, payload[entry], 1);
    return;
  }
  const kind = pte & KIND_MASK;
  const isPoison = kind === KIND_MARKER && (payload[entry] & MARKER_POISONED) !== 0;
  if (kind === KIND_HWPOISON || isPoison) flags[entry] = 0;
}

/** Clears bits of `count` entries that map one folio. */
function clearBits(kernel: Kernel, entry: number, count: number, bits: number): void {
  const { flags } = kernel.pageTables;
  flags[entry] &= ~bits;
  for (let i = entry + 1; i < entry + count; i += 1) flags[i] &= ~bits;
}

function makeLazyFree(kernel: Kernel, entry: number, head: number, count: number): void {
  const { flags, mapping } = kernel.memory;
  if ((mapping[head] & MAPPING_ANON) === 0) return;
  if ((flags[head] & (PG_SWAPCACHE | PG_DIRTY)) !== 0) {
    // Another process may still need the only up-to-date copy. A huge entry is not shared.
    const isHuge = count < folioPageCount(kernel, head);
    if (!isHuge && folioMapcount(kernel, head) !== count) return;
    if ((flags[head] & PG_SWAPCACHE) !== 0 && !folioFreeSwap(kernel, head)) return;
    flags[head] &= ~PG_DIRTY;
  }
  clearBits(kernel, entry, count, PTE_YOUNG | PTE_DIRTY);
  markLazyFree(kernel, head);
}

/** @kernel folio_mark_lazyfree */
function markLazyFree(kernel: Kernel, head: number): void {
  const now = kernel.memory.flags[head];
  const wanted = PG_LRU | PG_SWAPBACKED;
  if ((now & (wanted | PG_SWAPCACHE | PG_UNEVICTABLE)) !== wanted) return;
  kernel.lru.change(head, 0, PG_ACTIVE | PG_SWAPBACKED | PG_REFERENCED);
}

function makeCold(kernel: Kernel, entry: number, head: number, count: number): void {
  const flags = kernel.memory.flags[head];
  if ((flags & PG_LRU) === 0) return;
  forgetUse(kernel, entry, head, count, flags);
  if ((flags & (PG_ACTIVE | PG_UNEVICTABLE)) === PG_ACTIVE) {
    kernel.lru.change(head, 0, PG_ACTIVE | PG_REFERENCED);
  }
}

function makeColdAndIsolate(
  kernel: Kernel,
  entry: number,
  head: number,
  count: number,
  isolated: number[],
): void {
  const flags = kernel.memory.flags[head];
  if ((flags & PG_LRU) === 0) return;
  forgetUse(kernel, entry, head, count, flags);
  if ((flags & PG_UNEVICTABLE) !== 0) return;
  folioIsolateLru(kernel, head);
  isolated.push(head);
}

/** The entries become old; the folio keeps in mind that it was in the working set. */
function forgetUse(
  kernel: Kernel,
  entry: number,
  head: number,
  count: number,
  flags: number,
): void {
  clearBits(kernel, entry, count, PTE_YOUNG);
  const workingset = (flags & PG_ACTIVE) === 0 ? 0 : PG_WORKINGSET;
  kernel.memory.flags[head] = (flags & ~(PG_REFERENCED | PG_YOUNG)) | workingset;
}
