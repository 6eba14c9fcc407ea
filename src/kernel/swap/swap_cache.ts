import { fail } from '../../base/errors.js';
import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { folioMapcount, folioPageCount, folioPut } from '../phys/folio.js';
import { PG_DIRTY, PG_SWAPCACHE, PG_WRITEBACK } from '../phys/page_flags.js';
import { swapOffset } from '../pgtable/pte.js';
import {
  evictionNote,
  NOTE_EVICTED,
  NOTE_WORKINGSET,
  refaultFlags,
} from '../reclaim/workingset.js';
import { SLOT_ORDER_SHIFT, SLOT_ZERO, type SwapDevice } from './swap_device.js';

/** References of page tables and shmem files to a slot, without the cache. @kernel swp_swapcount */
export function swapEntryCount(kernel: Kernel, entry: number): number {
  return kernel.swap.deviceOf(entry).count(swapOffset(entry));
}

/** Swap entry of the first page of a cached folio. @kernel folio.swap */
export function folioSwapEntry(kernel: Kernel, head: number): number {
  return kernel.swap.folioSlots.get(head);
}

/** The cached page of a slot, or NIL. @kernel swap_cache_get_folio */
export function findSwapCachePage(kernel: Kernel, entry: number): number {
  return kernel.swap.deviceOf(entry).cachedPage[swapOffset(entry)] - 1;
}

/** A page table or a shmem file refers to the slot too. @kernel swap_duplicate */
export function swapDuplicate(kernel: Kernel, entry: number): boolean {
  kernel.swap.deviceOf(entry).duplicate(swapOffset(entry));
  return true;
}

/** Drops references of `count` consecutive slots. @kernel swap_free_nr */
export function swapFree(kernel: Kernel, entry: number, count = 1): void {
  const device = kernel.swap.deviceOf(entry);
  const slot = swapOffset(entry);
  for (let i = 0; i < count; i += 1) device.release(slot + i);
}

/**
 * Drops references of `count` consecutive slots; a cached folio that nothing maps and no entry
 * wants any more leaves the cache. @kernel free_swap_and_cache_nr
 */
export function freeSwapAndCache(kernel: Kernel, entry: number, count: number): void {
  const device = kernel.swap.deviceOf(entry);
  const slot = swapOffset(entry);
  for (let i = 0; i < count; i += 1) {
    if (device.release(slot + i) !== 0) continue;
    const page = device.cachedPage[slot + i] - 1;
    if (page !== NIL) reclaimCachedFolio(kernel, kernel.memory.folioOf(page));
  }
}

/** @kernel __try_to_reclaim_swap */
function reclaimCachedFolio(kernel: Kernel, head: number): void {
  if (folioMapcount(kernel, head) > 0 && !kernel.swap.isFull) return;
  folioFreeSwap(kernel, head);
}

/**
 * Takes slots for a folio and puts it into the swap cache: N references more, dirty. False if no
 * area has a free run. @kernel folio_alloc_swap
 */
export function folioAllocSwap(kernel: Kernel, head: number, order: number): boolean {
  const { devices } = kernel.swap;
  for (let type = 0; type < devices.length; type += 1) {
    const device = devices[type];
    if (device === undefined) continue;
    let slot = device.alloc(order);
    if (slot === NIL && order === 0 && reclaimCachedSlots(kernel, device)) slot = device.alloc(0);
    if (slot === NIL) continue;
    const memcg = kernel.memory.memcg[head];
    for (let i = slot; i < slot + 2 ** order; i += 1) device.memcg[i] = memcg;
    addToSwapCache(kernel, head, device, slot);
    kernel.memory.flags[head] |= PG_DIRTY;
    return true;
  }
  return false;
}

/** Gives up slots that only the cache holds. Returns whether any slot came free. */
function reclaimCachedSlots(kernel: Kernel, device: SwapDevice): boolean {
  const before = device.freeSlots;
  for (const head of kernel.swap.folioSlots.sortedHeads()) folioFreeSwap(kernel, head);
  return device.freeSlots > before;
}

/** Enters a folio for slots whose cache is claimed. @kernel swap_cache_add_folio */
export function addToSwapCache(
  kernel: Kernel,
  head: number,
  device: SwapDevice,
  slot: number,
): void {
  const { memory, swap } = kernel;
  const pages = folioPageCount(kernel, head);
  for (let i = 0; i < pages; i += 1) device.cachedPage[slot + i] = head + i + 1;
  swap.folioSlots.add(head, device.entryOf(slot));
  memory.refcount[head] += pages;
  memory.flags[head] |= PG_SWAPCACHE;
}

/** Takes a folio out of the cache; the cache's references go. @kernel swap_cache_del_folio */
export function deleteFromSwapCache(kernel: Kernel, head: number): void {
  const { memory, swap } = kernel;
  if ((memory.flags[head] & PG_SWAPCACHE) === 0) fail(`folio ${head} is not in the swap cache`);
  const entry = swap.folioSlots.get(head);
  const device = swap.deviceOf(entry);
  const slot = swapOffset(entry);
  const pages = folioPageCount(kernel, head);
  swap.folioSlots.delete(head);
  if (swap.readahead.unused.size > 0) swap.readahead.unused.delete(head);
  memory.flags[head] &= ~PG_SWAPCACHE;
  for (let i = 0; i < pages; i += 1) device.dropCache(slot + i);
  folioPut(kernel, head, pages);
}

/**
 * Takes a folio out of the cache if no entry refers to its slots: it is dirty then, for the only
 * copy is in memory. @kernel folio_free_swap
 */
export function folioFreeSwap(kernel: Kernel, head: number): boolean {
  const { memory, swap } = kernel;
  if ((memory.flags[head] & (PG_SWAPCACHE | PG_WRITEBACK)) !== PG_SWAPCACHE) return false;
  const entry = swap.folioSlots.get(head);
  const device = swap.deviceOf(entry);
  const slot = swapOffset(entry);
  const pages = folioPageCount(kernel, head);
  for (let i = 0; i < pages; i += 1) if (device.count(slot + i) !== 0) return false;
  memory.flags[head] |= PG_DIRTY;
  deleteFromSwapCache(kernel, head);
  return true;
}

/** Copies the pages of a cached folio to its slots. @kernel swap_writeout */
export function writeToSlots(kernel: Kernel, head: number): void {
  const { memory, swap } = kernel;
  const { content } = memory;
  const entry = swap.folioSlots.get(head);
  const device = swap.deviceOf(entry);
  const slot = swapOffset(entry);
  const pages = folioPageCount(kernel, head);
  let isZero = true;
  for (let i = 0; i < pages; i += 1) {
    const word = content[head + i];
    device.content[slot + i] = word;
    if (word !== 0) isZero = false;
  }
  const order = 31 - Math.clz32(pages);
  const note = (order << SLOT_ORDER_SHIFT) | (isZero ? SLOT_ZERO : 0);
  for (let i = slot; i < slot + pages; i += 1) device.notes[i] = note;
}

/**
 * Remembers in the slots that their folio is evicted now, by reclaim of the control group `reclaimer`
 * (0: of no group, whoever the folio is charged to). @kernel workingset_eviction
 */
export function noteEviction(kernel: Kernel, head: number, reclaimer: number): void {
  const { memory, swap } = kernel;
  const entry = swap.folioSlots.get(head);
  const device = swap.deviceOf(entry);
  const slot = swapOffset(entry);
  const pages = folioPageCount(kernel, head);
  const noted = evictionNote(memory.flags[head], reclaimer);
  for (let i = slot; i < slot + pages; i += 1) {
    device.notes[i] = (device.notes[i] & ~(NOTE_EVICTED | NOTE_WORKINGSET)) | noted;
  }
}

/**
 * Writes a small unmapped folio, which only the caller and the cache hold, to its slot and leaves
 * it without references: what `writeToSlots`, `noteEviction` and `deleteFromSwapCache` do for any
 * folio. False with nothing changed if the write would not end at once or nobody wants the slot.
 */
export function evictSmall(kernel: Kernel, head: number, reclaimer: number): boolean {
  const { memory, swap } = kernel;
  const entry = swap.folioSlots.get(head);
  const device = swap.deviceOf(entry);
  const slot = swapOffset(entry);
  if (!device.isSynchronous || device.count(slot) === 0) return false;
  swap.folioSlots.delete(head);
  if (swap.readahead.unused.size > 0) swap.readahead.unused.delete(head);
  memory.flags[head] &= ~PG_SWAPCACHE;
  evictToSlot(kernel, head, device, slot, reclaimer);
  return true;
}

/**
 * The same for a folio that has a slot of a synchronous area but was not entered in the cache, so
 * that the only reference is the caller's. False with nothing changed if it is mapped or held.
 */
export function evictUncached(
  kernel: Kernel,
  head: number,
  device: SwapDevice,
  slot: number,
  reclaimer: number,
): boolean {
  const { refcount, mapcount } = kernel.memory;
  if (mapcount[head] !== 0 || refcount[head] !== 1 || device.count(slot) === 0) return false;
  evictToSlot(kernel, head, device, slot, reclaimer);
  return true;
}

function evictToSlot(
  kernel: Kernel,
  head: number,
  device: SwapDevice,
  slot: number,
  reclaimer: number,
): void {
  const { memory } = kernel;
  const word = memory.content[head];
  const flags = memory.flags[head];
  device.content[slot] = word;
  device.notes[slot] = (word === 0 ? SLOT_ZERO : 0) | evictionNote(flags, reclaimer);
  device.dropCache(slot);
  memory.flags[head] = flags & ~PG_DIRTY;
  memory.refcount[head] = 0;
}

/** A folio comes back from a slot. */
export function noteRefault(kernel: Kernel, head: number, device: SwapDevice, slot: number): void {
  kernel.memory.flags[head] |= refaultFlags(device.notes[slot]);
}
