import { EBUSY, EHWPOISON } from '../errno.js';
import { removeCacheFolio } from '../file/page_cache.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioMapcount, folioMapping, folioPut, isAnonFolio } from '../phys/folio.js';
import { folioTrylock, folioUnlock } from '../phys/folio_lock.js';
import { drainMlock } from '../phys/mlock.js';
import {
  PG_ACTIVE,
  PG_DIRTY,
  PG_HUGETLB,
  PG_HWPOISON,
  PG_LRU,
  PG_SWAPCACHE,
  PG_UNEVICTABLE,
  PG_UPTODATE,
  PG_ZERO,
} from '../phys/page_flags.js';
import { folioMkclean } from '../rmap/mkclean.js';
import { tryToUnmap } from '../rmap/try_to_unmap.js';
import { TTU_HWPOISON, TTU_IGNORE_MLOCK, TTU_SYNC } from '../rmap/ttu_flags.js';
import { deleteFromSwapCache } from '../swap/swap_cache.js';
import { splitFolio } from '../thp/split.js';
import { isShmem } from '../vm/address_space.js';
import { hugetlbFailure } from './hugetlb_failure.js';

/**
 * The hardware reports that the contents of a page are lost. The page is taken out of every page
 * table, where an entry stays that raises SIGBUS (or none, if the contents can be read again), and
 * is never used again. The caller's reference is kept for ever, or dropped on an early failure.
 * Returns 0 or a negative errno: -EHWPOISON known already, -EBUSY still in use somewhere.
 * @kernel memory_failure
 */
export function* memoryFailure(kernel: Kernel, pfn: number): Op<number> {
  const { memory } = kernel;
  let head = memory.folioOf(pfn);
  const refusal = failureRefusal(kernel, pfn, head);
  if (refusal !== 0) {
    if ((memory.flags[head] & PG_ZERO) === 0) folioPut(kernel, head);
    return refusal;
  }
  if ((memory.flags[head] & PG_HUGETLB) !== 0) return yield* hugetlbFailure(kernel, pfn, head);
  drainMlock(kernel);
  memory.flags[pfn] |= PG_HWPOISON;
  if (memory.isLarge(head)) {
    if ((yield* splitFolio(kernel, head, pfn)) !== 0) {
      folioPut(kernel, head);
      return -EBUSY;
    }
    head = pfn;
  }
  if (!(yield* folioTrylock(kernel, head))) {
    folioPut(kernel, head);
    return -EBUSY;
  }
  const isUnmapped = yield* unmapPoisoned(kernel, head);
  const result = isUnmapped ? isolatePoisoned(kernel, head) : -EBUSY;
  yield* folioUnlock(kernel, head);
  return result;
}

/** Pages that nothing can be done about: a negative errno, else 0. */
function failureRefusal(kernel: Kernel, pfn: number, head: number): number {
  const { flags } = kernel.memory;
  if ((flags[pfn] & PG_HWPOISON) !== 0) return -EHWPOISON;
  const isHugetlb = (flags[head] & PG_HUGETLB) !== 0;
  if (isHugetlb && (flags[head] & PG_HWPOISON) !== 0) return -EHWPOISON;
  return (flags[head] & PG_ZERO) !== 0 ? -EBUSY : 0;
}

/**
 * Unmaps the page everywhere. Entries say that it is poisoned, unless the contents are elsewhere
 * too: clean pages of a disk file, and pages in the swap cache. @kernel hwpoison_user_mappings
 */
function* unmapPoisoned(kernel: Kernel, head: number): Op<boolean> {
  if (folioMapcount(kernel, head) === 0) return true;
  const { memory } = kernel;
  let isLost = (memory.flags[head] & PG_SWAPCACHE) === 0;
  const mapping = folioMapping(kernel, head);
  const canReadAgain = mapping !== undefined && !isShmem(mapping);
  if (canReadAgain && (memory.flags[head] & PG_DIRTY) === 0) {
    if ((yield* folioMkclean(kernel, head)) > 0) memory.flags[head] |= PG_DIRTY;
    else isLost = false;
  }
  const flags = TTU_IGNORE_MLOCK | TTU_SYNC | (isLost ? TTU_HWPOISON : 0);
  yield* tryToUnmap(kernel, head, flags);
  return folioMapcount(kernel, head) === 0;
}

/**
 * Takes the page off the LRU lists and out of its cache. Returns 0, or -EBUSY if somebody else
 * holds it still. @kernel identify_page_state
 */
function isolatePoisoned(kernel: Kernel, head: number): number {
  const { memory } = kernel;
  drainMlock(kernel);
  if ((memory.flags[head] & PG_LRU) !== 0) kernel.lru.remove(head);
  memory.flags[head] &= ~(PG_ACTIVE | PG_UNEVICTABLE);
  let cacheReferences = 0;
  const mapping = folioMapping(kernel, head);
  if ((memory.flags[head] & PG_SWAPCACHE) !== 0) {
    if ((memory.flags[head] & PG_DIRTY) === 0) {
      deleteFromSwapCache(kernel, head);
    } else {
      // The only copy: it stays in the cache, so that a fault finds it and fails.
      memory.flags[head] &= ~(PG_DIRTY | PG_UPTODATE);
      cacheReferences = 1;
    }
  } else if (mapping !== undefined && !isAnonFolio(kernel, head)) {
    if (isShmem(mapping)) cacheReferences = 1;
    else removeCacheFolio(kernel, mapping, head);
  }
  return memory.refcount[head] - cacheReferences > 1 ? -EBUSY : 0;
}
