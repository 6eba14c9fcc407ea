import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioAlloc, folioPageCount, setFileMapping } from '../phys/folio.js';
import { PG_DIRTY, PG_SWAPBACKED } from '../phys/page_flags.js';
import { swapOffset } from '../pgtable/pte.js';
import { directReclaim } from '../reclaim/direct.js';
import type { AddressSpace } from '../vm/address_space.js';
import {
  deleteFromSwapCache,
  folioFreeSwap,
  folioSwapEntry,
  freeSwapAndCache,
  noteRefault,
  swapFree,
} from './swap_cache.js';
import { SLOT_ORDER_SHIFT, type SwapDevice } from './swap_device.js';

/**
 * Brings a page of a shmem file back from swap, together with the whole folio that was written
 * with it (spec 98 §4.4). Returns its pfn, or NIL when memory is short. @kernel shmem_swapin_folio
 */
export function* shmemSwapIn(
  kernel: Kernel,
  mapping: AddressSpace,
  index: number,
  memcg: number,
): Op<number> {
  const swapped = mapping.swapped.get(index);
  if (swapped === undefined) return mapping.pages.get(index) ?? NIL;
  const device = kernel.swap.deviceOf(swapped);
  const slot = swapOffset(swapped);
  const cached = device.cachedPage[slot] - 1;
  if (cached !== NIL) return takeCached(kernel, mapping, index, cached);
  let order = writtenOrder(mapping, index, swapped, device, slot);
  let head = folioAlloc(kernel, order, memcg);
  if (head === NIL && order > 0) {
    order = 0;
    head = folioAlloc(kernel, 0, memcg);
  }
  if (head === NIL) {
    if ((yield* directReclaim(kernel)) === 0) return NIL;
    head = folioAlloc(kernel, 0, memcg);
    if (head === NIL) return NIL;
  }
  const { memory } = kernel;
  const pages = 2 ** order;
  const before = index % pages;
  const firstSlot = slot - before;
  memory.memcg[head] = device.memcg[firstSlot];
  memory.flags[head] |= PG_SWAPBACKED | PG_DIRTY;
  memory.content.set(device.content.subarray(firstSlot, firstSlot + pages), head);
  noteRefault(kernel, head, device, firstSlot);
  kernel.lru.add(head);
  // The allocation's own reference becomes the first of the page cache's.
  memory.refcount[head] += pages - 1;
  enterPageCache(kernel, mapping, head, index - before, pages);
  swapFree(kernel, swapped - before, pages);
  return head + before;
}

/** A folio that is still in the swap cache moves back to the page cache. */
function takeCached(kernel: Kernel, mapping: AddressSpace, index: number, page: number): number {
  const { memory } = kernel;
  const head = memory.folioOf(page);
  const pages = folioPageCount(kernel, head);
  const entry = folioSwapEntry(kernel, head);
  memory.refcount[head] += pages;
  memory.flags[head] |= PG_DIRTY;
  enterPageCache(kernel, mapping, head, index - (page - head), pages);
  swapFree(kernel, entry, pages);
  if (!folioFreeSwap(kernel, head)) deleteFromSwapCache(kernel, head);
  return page;
}

function enterPageCache(
  kernel: Kernel,
  mapping: AddressSpace,
  head: number,
  first: number,
  pages: number,
): void {
  setFileMapping(kernel, head, mapping, first);
  for (let i = 0; i < pages; i += 1) {
    mapping.swapped.delete(first + i);
    mapping.pages.set(first + i, head + i);
  }
}

/** Order of the folio that was written, if all its pages are still swapped as they were. */
function writtenOrder(
  mapping: AddressSpace,
  index: number,
  swapped: number,
  device: SwapDevice,
  slot: number,
): number {
  const order = device.notes[slot] >>> SLOT_ORDER_SHIFT;
  const pages = 2 ** order;
  const before = index % pages;
  if (order === 0 || slot % pages !== before) return 0;
  for (let i = 0; i < pages; i += 1) {
    if (mapping.swapped.get(index - before + i) !== swapped - before + i) return 0;
    if (device.hasCache(slot - before + i)) return 0;
  }
  return order;
}

/** Drops the swapped pages [start, end) of a file. @kernel shmem_free_swap */
export function freeShmemSwapRange(
  kernel: Kernel,
  mapping: AddressSpace,
  start: number,
  end: number,
): void {
  if (mapping.swapped.size === 0) return;
  for (const [index, swapped] of mapping.swapped) {
    if (index < start || index >= end) continue;
    mapping.swapped.delete(index);
    freeSwapAndCache(kernel, swapped, 1);
  }
}
