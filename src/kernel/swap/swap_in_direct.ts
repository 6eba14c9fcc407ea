import { ENTRIES_PER_TABLE, NIL, PMD_ORDER } from '../../base/units.js';
import { allocUserFolio } from '../fault/alloc.js';
import { VM_FAULT_MAJOR, VM_FAULT_OOM } from '../fault/fault_flags.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioPut } from '../phys/folio.js';
import { PG_SWAPBACKED } from '../phys/page_flags.js';
import { swapOffset } from '../pgtable/pte.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { folioAddNewAnonRmap } from '../rmap/folio_rmap.js';
import { allowableAnonOrders, blockFitsVma, MIN_ANON_ORDER } from '../thp/anon_order.js';
import { isUffdArmed } from '../uffd/context.js';
import { MM_ANONPAGES, MM_SWAPENTS } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import { noteRefault } from './swap_cache.js';
import { SLOT_ZERO, type SwapDevice } from './swap_device.js';
import { finishWrite, swappedInFlags } from './swap_pte.js';

/**
 * Swap-in from a synchronous area of a slot that only the faulting entry refers to: the folio is
 * read without ever entering the cache and mapped exclusively (spec 98 §6.3).
 */
export function* swapInDirect(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  entry: number,
  device: SwapDevice,
  faultFlags: number,
): Op<number> {
  const { pageTables, memory } = kernel;
  const swapped = pageTables.payload[entry];
  const oldFlags = pageTables.flags[entry];
  let order = directOrder(kernel, vma, vpn, entry, device);
  let head = yield* allocUserFolio(kernel, vma.mm, order);
  while (head === NIL && order > 0) {
    order = order === MIN_ANON_ORDER ? 0 : order - 1;
    if (order > 0 && !isOrderUsable(kernel, vma, vpn, entry, device, order)) continue;
    head = yield* allocUserFolio(kernel, vma.mm, order);
  }
  if (head === NIL) return VM_FAULT_OOM;
  yield* pageTablesSettled(vma.mm);
  const pages = 2 ** order;
  const before = vpn & (pages - 1);
  const slot = swapOffset(swapped) - before;
  const isChanged = pageTables.payload[entry] !== swapped || pageTables.flags[entry] !== oldFlags;
  if (isChanged || !claimSlots(device, slot, pages)) {
    // Reclaim or another fault was faster: the access looks again.
    folioPut(kernel, head);
    return VM_FAULT_MAJOR;
  }
  memory.memcg[head] = device.memcg[slot];
  memory.flags[head] |= PG_SWAPBACKED;
  noteRefault(kernel, head, device, slot);
  kernel.lru.add(head);
  const firstEntry = entry - before;
  const newFlags = swappedInFlags(vma, oldFlags, true, faultFlags);
  memory.refcount[head] += pages - 1;
  vma.mm.rss[MM_ANONPAGES] += pages;
  vma.mm.rss[MM_SWAPENTS] -= pages;
  folioAddNewAnonRmap(kernel, head, vma, vpn - before, true);
  for (let i = 0; i < pages; i += 1) {
    memory.content[head + i] = device.content[slot + i];
    pageTables.payload[firstEntry + i] = head + i;
    pageTables.flags[firstEntry + i] = newFlags;
    device.release(slot + i);
    device.dropCache(slot + i);
  }
  return VM_FAULT_MAJOR | (yield* finishWrite(kernel, vma, vpn, entry, faultFlags));
}

function claimSlots(device: SwapDevice, slot: number, pages: number): boolean {
  for (let i = 0; i < pages; i += 1) {
    if (device.claimCache(slot + i)) continue;
    for (let j = 0; j < i; j += 1) device.dropCache(slot + j);
    return false;
  }
  return true;
}

/** The highest order below PMD in which the neighbourhood can come back as one folio. */
function directOrder(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  entry: number,
  device: SwapDevice,
): number {
  const mask = allowableAnonOrders(kernel, vma) & ((1 << PMD_ORDER) - 1);
  if (mask === 0 || isUffdArmed(vma)) return 0;
  for (let order = PMD_ORDER - 1; order >= MIN_ANON_ORDER; order -= 1) {
    if ((mask & (1 << order)) === 0) continue;
    if (isOrderUsable(kernel, vma, vpn, entry, device, order)) return order;
  }
  return 0;
}

/**
 * Whether the aligned block around `vpn` is all swap entries that differ only in their slots, which
 * are consecutive, aligned, not cached, and all zero or none.
 */
function isOrderUsable(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  entry: number,
  device: SwapDevice,
  order: number,
): boolean {
  if ((allowableAnonOrders(kernel, vma) & (1 << order)) === 0) return false;
  if (!blockFitsVma(vma, vpn, order)) return false;
  const { payload, flags } = kernel.pageTables;
  const pages = 2 ** order;
  const before = vpn & (pages - 1);
  const first = entry - before;
  if (Math.floor(first / ENTRIES_PER_TABLE) !== Math.floor(entry / ENTRIES_PER_TABLE)) return false;
  const swapped = payload[entry] - before;
  const slot = swapOffset(payload[entry]) - before;
  if (slot < 0 || slot % pages !== 0) return false;
  const zero = device.notes[slot] & SLOT_ZERO;
  for (let i = 0; i < pages; i += 1) {
    if (payload[first + i] !== swapped + i || flags[first + i] !== flags[entry]) return false;
    if (device.hasCache(slot + i) || (device.notes[slot + i] & SLOT_ZERO) !== zero) return false;
  }
  return true;
}
