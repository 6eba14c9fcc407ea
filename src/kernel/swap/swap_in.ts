import { ENTRIES_PER_TABLE, NIL, tableIndex } from '../../base/units.js';
import { FAULT_WRITE, VM_FAULT_MAJOR, VM_FAULT_OOM, VM_FAULT_RETRY } from '../fault/fault_flags.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioPageCount, folioPut, isAnonFolio, isKsmFolio } from '../phys/folio.js';
import { folioTrylock, folioUnlock } from '../phys/folio_lock.js';
import { folioAddLruVma } from '../phys/mlock.js';
import { PG_MLOCKED, PG_SWAPCACHE } from '../phys/page_flags.js';
import { PTE_SWP_EXCLUSIVE, swapOffset } from '../pgtable/pte.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { folioAddAnonRmapPtes, folioAddNewAnonRmap } from '../rmap/folio_rmap.js';
import { MM_ANONPAGES, MM_SWAPENTS } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import { VM_LOCKED } from '../vm/vm_flags.js';
import { copyForKsm, noteKsmMapping } from './ksm_copy.js';
import { folioFreeSwap, swapFree } from './swap_cache.js';
import { swapInDirect } from './swap_in_direct.js';
import { finishWrite, swappedInFlags } from './swap_pte.js';
import { noteReadaheadHit, swapinReadahead } from './swap_readahead.js';

/**
 * Fault on a swap entry (spec 50 §5.3, 98 §6.3, §6.4): maps the folio of the cache, or a new one
 * read from the slot. `entry` is the faulting entry in `Kernel.pageTables`.
 * Returns `VM_FAULT_*` bits. @kernel do_swap_page
 */
export function* doSwapPage(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  entry: number,
  faultFlags: number,
): Op<number> {
  const { pageTables, memory } = kernel;
  const swapped = pageTables.payload[entry];
  const oldFlags = pageTables.flags[entry];
  const device = kernel.swap.deviceOf(swapped);
  const slot = swapOffset(swapped);
  let page = device.cachedPage[slot] - 1;
  let result = 0;
  if (page !== NIL) {
    noteReadaheadHit(kernel, vma, vpn, page);
  } else {
    if (device.isSynchronous && device.count(slot) === 1) {
      return yield* swapInDirect(kernel, vma, vpn, entry, device, faultFlags);
    }
    page = yield* swapinReadahead(kernel, vma, vpn, swapped);
    if (page === NIL) return VM_FAULT_OOM;
    result = VM_FAULT_MAJOR;
  }
  const head = memory.folioOf(page);
  memory.refcount[head] += 1;
  if (!(yield* folioTrylock(kernel, head))) {
    // Reclaim or swapoff is at work on it: the access looks again.
    folioPut(kernel, head);
    return result | VM_FAULT_RETRY;
  }
  const copy = yield* copyForKsm(kernel, vma, vpn, page);
  yield* pageTablesSettled(vma.mm);
  const isSame =
    pageTables.payload[entry] === swapped &&
    pageTables.flags[entry] === oldFlags &&
    device.cachedPage[slot] - 1 === page;
  if (isSame && copy === page) {
    return result | (yield* mapCachedFolio(kernel, vma, vpn, entry, page, faultFlags));
  }
  yield* folioUnlock(kernel, head);
  folioPut(kernel, head);
  if (copy === NIL) return VM_FAULT_OOM;
  if (isSame) return result | (yield* mapCopy(kernel, vma, vpn, entry, copy, faultFlags));
  if (copy !== page) folioPut(kernel, copy);
  return result;
}

/** Maps the private copy of a cached page in the place of its swap entry. */
function* mapCopy(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  entry: number,
  copy: number,
  faultFlags: number,
): Op<number> {
  const { pageTables } = kernel;
  const oldFlags = pageTables.flags[entry];
  const newFlags = swappedInFlags(vma, oldFlags, true, faultFlags);
  swapFree(kernel, pageTables.payload[entry]);
  vma.mm.rss[MM_ANONPAGES] += 1;
  vma.mm.rss[MM_SWAPENTS] -= 1;
  folioAddNewAnonRmap(kernel, copy, vma, vpn, true);
  folioAddLruVma(kernel, copy, vma);
  pageTables.payload[entry] = copy;
  pageTables.flags[entry] = newFlags;
  return yield* finishWrite(kernel, vma, vpn, entry, faultFlags);
}

/**
 * Maps a page of a cached folio, which the caller has locked and holds a reference on: exclusively if the entry
 * says so or nobody else uses the folio any more.
 */
function* mapCachedFolio(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  entry: number,
  page: number,
  faultFlags: number,
): Op<number> {
  const { pageTables, memory } = kernel;
  const head = memory.folioOf(page);
  const pages = folioPageCount(kernel, head);
  const isWhole = pages > 1 && mapsWholeFolio(kernel, vma, vpn, entry, page - head, pages);
  const count = isWhole ? pages : 1;
  const firstPage = isWhole ? head : page;
  const firstEntry = entry - (page - firstPage);
  const oldFlags = pageTables.flags[entry];
  const isKsm = isKsmFolio(kernel, head);
  const isMarkedExclusive = !isKsm && (oldFlags & PTE_SWP_EXCLUSIVE) !== 0;
  swapFree(kernel, pageTables.payload[firstEntry], count);
  if (shouldFreeSwap(kernel, vma, head, isKsm, faultFlags)) folioFreeSwap(kernel, head);
  const isExclusive = isMarkedExclusive || (!isKsm && memory.refcount[head] === 1);
  const newFlags = swappedInFlags(vma, oldFlags, isExclusive, faultFlags);
  vma.mm.rss[MM_ANONPAGES] += count;
  vma.mm.rss[MM_SWAPENTS] -= count;
  memory.refcount[head] += count - 1;
  if (isAnonFolio(kernel, head)) {
    folioAddAnonRmapPtes(
      kernel,
      head,
      firstPage,
      count,
      vma,
      vpn - (page - firstPage),
      isExclusive,
    );
  } else {
    folioAddNewAnonRmap(kernel, head, vma, vpn, isExclusive);
  }
  for (let i = 0; i < count; i += 1) {
    pageTables.payload[firstEntry + i] = firstPage + i;
    pageTables.flags[firstEntry + i] = newFlags;
  }
  if (isKsm) noteKsmMapping(kernel, head, vma, vpn);
  yield* folioUnlock(kernel, head);
  // Somebody may have taken the entry away again: the access looks again.
  if (pageTables.payload[entry] !== page || pageTables.flags[entry] !== newFlags) return 0;
  return yield* finishWrite(kernel, vma, vpn, entry, faultFlags);
}

/** Whether all entries of the folio's pages around `entry` are its swap entries. */
function mapsWholeFolio(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  entry: number,
  pageNumber: number,
  pages: number,
): boolean {
  const { payload, flags } = kernel.pageTables;
  const first = entry - pageNumber;
  const firstVpn = vpn - pageNumber;
  if (firstVpn < vma.start || firstVpn + pages > vma.end) return false;
  if (tableIndex(entry) - pageNumber < 0) return false;
  if (tableIndex(first) + pages > ENTRIES_PER_TABLE) return false;
  const firstSlot = payload[entry] - pageNumber;
  for (let i = 0; i < pages; i += 1) {
    if (payload[first + i] !== firstSlot + i || flags[first + i] !== flags[entry]) return false;
  }
  return true;
}

/** Whether a mapped folio shall leave the swap cache now. @kernel should_try_to_free_swap */
function shouldFreeSwap(
  kernel: Kernel,
  vma: Vma,
  head: number,
  isKsm: boolean,
  faultFlags: number,
): boolean {
  const { flags, refcount } = kernel.memory;
  if ((flags[head] & PG_SWAPCACHE) === 0) return false;
  if ((vma.flags & VM_LOCKED) !== 0 || (flags[head] & PG_MLOCKED) !== 0) return true;
  if (kernel.swap.isFull) return true;
  const isWrite = (faultFlags & FAULT_WRITE) !== 0;
  return isWrite && !isKsm && refcount[head] === 1 + folioPageCount(kernel, head);
}
