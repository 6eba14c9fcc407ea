import { NIL, tableEnd, tableStart } from '../../base/units.js';
import { allocUserFolio } from '../fault/alloc.js';
import { addNewCacheFolio, findCachedPage } from '../file/page_cache.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioPut } from '../phys/folio.js';
import { PG_SWAPBACKED } from '../phys/page_flags.js';
import { swapOffset } from '../pgtable/pte.js';
import { isShmem } from '../vm/address_space.js';
import type { Mm } from '../vm/mm.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';
import { addToSwapCache, findSwapCachePage, noteRefault } from './swap_cache.js';
import { isSwapPte } from './swap_pte.js';
import type { ReadaheadInfo } from './swap_readahead_state.js';

/** A VMA without history behaves as if its last window had been a success. */
const INITIAL_HITS = 4;

/**
 * Reads one slot into the swap cache as a small folio; it stays there until it is mapped, freed
 * or reclaimed. Returns its pfn, or NIL if the slot is gone or memory is short.
 * @kernel read_swap_cache_async
 */
export function* readSwapCache(kernel: Kernel, swapped: number, mm: Mm): Op<number> {
  const cached = findSwapCachePage(kernel, swapped);
  if (cached !== NIL) return cached;
  const device = kernel.swap.deviceOf(swapped);
  const slot = swapOffset(swapped);
  if (device.count(slot) === 0) return NIL;
  const head = yield* allocUserFolio(kernel, mm, 0);
  if (head === NIL) return NIL;
  if (!device.claimCache(slot)) {
    folioPut(kernel, head);
    return findSwapCachePage(kernel, swapped);
  }
  const { memory } = kernel;
  memory.memcg[head] = device.memcg[slot];
  memory.flags[head] |= PG_SWAPBACKED;
  memory.content[head] = device.content[slot];
  addToSwapCache(kernel, head, device, slot);
  noteRefault(kernel, head, device, slot);
  kernel.lru.add(head);
  folioPut(kernel, head);
  return head;
}

/**
 * Reads the faulting slot and swap entries around it into the cache (spec 98 §6.6). Returns the
 * pfn of the faulting page, or NIL. @kernel swapin_readahead
 */
export function* swapinReadahead(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  swapped: number,
): Op<number> {
  const [from, to] = nextWindow(kernel, vma, vpn);
  const { pageTables, swap } = kernel;
  for (let page = from; page < to; page += 1) {
    if (page === vpn) continue;
    const entry = pageTables.findPte(vma.mm.pgd, page);
    if (entry === NIL || !isSwapPte(pageTables.flags[entry])) continue;
    const wasCached = findSwapCachePage(kernel, pageTables.payload[entry]) !== NIL;
    const head = yield* readSwapCache(kernel, pageTables.payload[entry], vma.mm);
    if (head !== NIL && !wasCached) swap.readahead.unused.add(head);
  }
  return yield* readSwapCache(kernel, swapped, vma.mm);
}

/** Window [from, to) for a fault at `vpn`, in pages; remembers it. @kernel swap_vma_ra_win */
function nextWindow(kernel: Kernel, vma: Vma, vpn: number): readonly [number, number] {
  const maxPages = 2 ** kernel.knobs.pageCluster;
  if (maxPages === 1) return [vpn, vpn + 1];
  const { infoOf } = kernel.swap.readahead;
  const last = infoOf.get(vma) ?? { vpn: 0, windowPages: 0, hits: INITIAL_HITS };
  const pages = windowPages(last, vpn, maxPages);
  infoOf.set(vma, { vpn, windowPages: pages, hits: 0 });
  let from = vpn - Math.floor((pages - 1) / 2);
  if (vpn === last.vpn + 1) from = vpn;
  else if (vpn === last.vpn - 1) from = vpn - pages + 1;
  const low = Math.max(from, vma.start, tableStart(vpn));
  const high = Math.min(from + pages, vma.end, tableEnd(vpn));
  return [low, high];
}

/** Grows with the hits since the last window, shrinks by half at most. */
function windowPages(last: ReadaheadInfo, vpn: number, maxPages: number): number {
  let pages = 1;
  if (last.hits > 0) {
    pages = 4;
    while (pages < last.hits + 2) pages *= 2;
  } else if (Math.abs(vpn - last.vpn) === 1) {
    pages = 2;
  }
  return Math.max(Math.min(pages, maxPages), Math.floor(last.windowPages / 2));
}

/** A fault found its page in the cache: counts if it was read ahead. */
export function noteReadaheadHit(kernel: Kernel, vma: Vma, vpn: number, page: number): void {
  if (kernel.knobs.pageCluster === 0) return;
  const { infoOf, unused } = kernel.swap.readahead;
  const info = infoOf.get(vma);
  const isFirstUse = unused.delete(kernel.memory.folioOf(page));
  if (info === undefined) return;
  info.vpn = vpn;
  if (isFirstUse) info.hits += 1;
}

/**
 * MADV_WILLNEED: swap entries of [start, end) are read into the swap cache, missing pages of a
 * file into the page cache; no entry changes (spec 98 §6.5). Returns 0. @kernel madvise_willneed
 */
export function* swapinWalk(kernel: Kernel, vma: Vma, start: number, end: number): Op<number> {
  const mapping = vma.file?.mapping;
  if (mapping?.kind === 'hugetlb') return 0;
  if (mapping !== undefined && !isShmem(mapping)) {
    const last = Math.min(linearPageIndex(vma, end), mapping.sizePages);
    for (let index = linearPageIndex(vma, start); index < last; index += 1) {
      if (findCachedPage(mapping, index) !== NIL) continue;
      if (addNewCacheFolio(kernel, mapping, index, 0, vma.mm.memcg) === NIL) break;
    }
    return 0;
  }
  if (kernel.swap.devices.length === 0) return 0;
  const { pageTables } = kernel;
  for (let vpn = start; vpn < end; vpn += 1) {
    let swapped = NIL;
    if (mapping === undefined) {
      const entry = pageTables.findPte(vma.mm.pgd, vpn);
      if (entry !== NIL && isSwapPte(pageTables.flags[entry])) swapped = pageTables.payload[entry];
    } else {
      swapped = mapping.swapped.get(linearPageIndex(vma, vpn)) ?? NIL;
    }
    if (swapped !== NIL) yield* readSwapCache(kernel, swapped, vma.mm);
  }
  return 0;
}
