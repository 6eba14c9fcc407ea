import { ENTRIES_PER_TABLE, NIL, tableIndex } from '../../base/units.js';
import { presentFlags } from '../fault/pte_values.js';
import { EINVAL, ENOMEM, ENOSYS } from '../errno.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { isAnonFolio } from '../phys/folio.js';
import { folioAddLruVma } from '../phys/mlock.js';
import { PG_LRU } from '../phys/page_flags.js';
import {
  PTE_SOFT_DIRTY,
  PTE_SWP_EXCLUSIVE,
  PTE_TABLE,
  PTE_UFFD_WP,
  PTE_YOUNG,
  swapType,
} from '../pgtable/pte.js';
import { folioAddAnonRmapPtes, folioAddNewAnonRmap } from '../rmap/folio_rmap.js';
import { MM_ANONPAGES, MM_SWAPENTS } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import { copyForKsm } from './ksm_copy.js';
import { shmemSwapIn } from './shmem_swap.js';
import { folioFreeSwap, swapFree } from './swap_cache.js';
import type { SwapDevice } from './swap_device.js';
import { isSwapPte } from './swap_pte.js';
import { readSwapCache } from './swap_readahead.js';

/**
 * Switches every swap area off: each entry becomes a page again (spec 98 §6.5). Returns 0 or a
 * negative errno: -EINVAL nothing is on, -ENOMEM memory is short (pages read so far stay).
 * @kernel swapoff @kernel try_to_unuse
 */
export function* swapOff(kernel: Kernel): Op<number> {
  if (!kernel.profile.swap) return -ENOSYS;
  const { devices } = kernel.swap;
  const isOn = devices.some((device) => device !== undefined);
  if (!isOn) return -EINVAL;
  for (const device of devices) {
    if (device === undefined) continue;
    device.acceptsWrites = false;
    const failed = yield* unuseDevice(kernel, device);
    if (failed !== 0) {
      device.acceptsWrites = true;
      return failed;
    }
    devices[device.type] = undefined;
  }
  return 0;
}

function* unuseDevice(kernel: Kernel, device: SwapDevice): Op<number> {
  let left = Infinity;
  // When memory is short, reclaim may put entries back behind the scan: another round.
  while (device.usedSlots > 0 && device.usedSlots < left) {
    left = device.usedSlots;
    const failed = yield* unuseEntries(kernel, device);
    if (failed !== 0) return failed;
    for (const head of kernel.swap.folioSlots.sortedHeads()) folioFreeSwap(kernel, head);
  }
  return device.usedSlots === 0 ? 0 : -ENOMEM;
}

function* unuseEntries(kernel: Kernel, device: SwapDevice): Op<number> {
  const failed = yield* unuseShmem(kernel, device);
  if (failed !== 0) return failed;
  for (const mm of kernel.mms) {
    for (const vma of mm.vmas) {
      if (vma.anonVma === undefined) continue;
      const failedVma = yield* unuseVma(kernel, vma, device);
      if (failedVma !== 0) return failedVma;
    }
  }
  return 0;
}

/** @kernel shmem_unuse */
function* unuseShmem(kernel: Kernel, device: SwapDevice): Op<number> {
  for (const mapping of kernel.mappings) {
    if (mapping === undefined) continue;
    for (const [index, swapped] of mapping.swapped) {
      if (swapType(swapped) !== device.type || !mapping.swapped.has(index)) continue;
      const page = yield* shmemSwapIn(kernel, mapping, index, 0);
      if (page === NIL) return -ENOMEM;
    }
  }
  return 0;
}

/** @kernel unuse_vma */
function* unuseVma(kernel: Kernel, vma: Vma, device: SwapDevice): Op<number> {
  const { pageTables } = kernel;
  for (let vpn = vma.start; vpn < vma.end; vpn += 1) {
    const pmd = pageTables.findPmd(vma.mm.pgd, vpn);
    if (pmd === NIL || (pageTables.flags[pmd] & PTE_TABLE) === 0) {
      const span = pmd === NIL && pageTables.findPud(vma.mm.pgd, vpn) === NIL ? 2 ** 18 : 2 ** 9;
      vpn = vpn - (vpn % span) + span - 1;
      continue;
    }
    const entry = pageTables.payload[pmd] * ENTRIES_PER_TABLE + tableIndex(vpn);
    if (!isSwapPte(pageTables.flags[entry])) continue;
    const swapped = pageTables.payload[entry];
    if (swapType(swapped) !== device.type) continue;
    const page = yield* readSwapCache(kernel, swapped, vma.mm);
    if (page === NIL) return -ENOMEM;
    const isMapped = yield* unusePte(kernel, vma, vpn, entry, page);
    if (!isMapped) return -ENOMEM;
  }
  return 0;
}

/** Maps a cached page in the place of its swap entry: old, clean, never writable. @kernel unuse_pte */
function* unusePte(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  entry: number,
  cachedPage: number,
): Op<boolean> {
  const { memory, pageTables } = kernel;
  const head = memory.folioOf(cachedPage);
  memory.refcount[head] += 1;
  const page = yield* copyForKsm(kernel, vma, vpn, cachedPage);
  if (page === NIL) {
    memory.refcount[head] -= 1;
    return false;
  }
  const isCopy = page !== cachedPage;
  if (isCopy) memory.refcount[head] -= 1;
  const owner = memory.folioOf(page);
  const oldFlags = pageTables.flags[entry];
  const isExclusive = (oldFlags & PTE_SWP_EXCLUSIVE) !== 0 || isCopy;
  vma.mm.rss[MM_ANONPAGES] += 1;
  vma.mm.rss[MM_SWAPENTS] -= 1;
  if (isAnonFolio(kernel, owner)) {
    folioAddAnonRmapPtes(kernel, owner, page, 1, vma, vpn, isExclusive);
  } else {
    folioAddNewAnonRmap(kernel, owner, vma, vpn, isExclusive);
    if ((memory.flags[owner] & PG_LRU) === 0) folioAddLruVma(kernel, owner, vma);
  }
  swapFree(kernel, pageTables.payload[entry]);
  pageTables.payload[entry] = page;
  pageTables.flags[entry] =
    (presentFlags(vma) & ~PTE_YOUNG) | (oldFlags & (PTE_UFFD_WP | PTE_SOFT_DIRTY));
  folioFreeSwap(kernel, head);
  return true;
}
