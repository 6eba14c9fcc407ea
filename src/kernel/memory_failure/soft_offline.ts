import { EBUSY } from '../errno.js';
import { removeCacheFolio } from '../file/page_cache.js';
import type { Kernel } from '../kernel.js';
import { migratePages, tryIsolate } from '../migrate/migrate_pages.js';
import type { Op } from '../op/prims.js';
import { folioExpectedRefCount, folioMapcount, folioMapping, folioPut } from '../phys/folio.js';
import { drainMlock } from '../phys/mlock.js';
import { PG_DIRTY, PG_HUGETLB, PG_HWPOISON, PG_PRIVATE, PG_ZERO } from '../phys/page_flags.js';
import { splitFolio } from '../thp/split.js';
import { isShmem } from '../vm/address_space.js';
import { hugetlbSoftOffline } from './hugetlb_failure.js';

/**
 * Stops using a page that may fail soon: its contents move to another page, and no process notices.
 * The caller's reference is dropped. Returns 0 or a negative errno; -EBUSY if the page is in use in
 * a way that cannot be moved. @kernel soft_offline_page
 */
export function* softOfflinePage(kernel: Kernel, pfn: number): Op<number> {
  const { memory } = kernel;
  const head = memory.folioOf(pfn);
  // Nobody counts references of a zero page, and it cannot be spared.
  if ((memory.flags[head] & PG_ZERO) !== 0) return -EBUSY;
  if ((memory.flags[pfn] & PG_HWPOISON) !== 0) {
    folioPut(kernel, head);
    return 0;
  }
  if ((memory.flags[head] & PG_HUGETLB) !== 0) {
    return yield* hugetlbSoftOffline(kernel, pfn, head);
  }
  drainMlock(kernel);
  if (memory.isLarge(head) && (yield* splitFolio(kernel, head, pfn)) !== 0) {
    folioPut(kernel, head);
    return -EBUSY;
  }
  if (evictClean(kernel, pfn)) return 0;
  const isIsolated = tryIsolate(kernel, pfn);
  folioPut(kernel, pfn);
  if (!isIsolated) return -EBUSY;
  const allocate = (order: number): number => memory.allocPages(order);
  const failed = yield* migratePages(kernel, [pfn], allocate, 'memoryFailure');
  return failed === 0 ? 0 : -EBUSY;
}

/** A clean page of a disk file that nothing maps needs no copy. @kernel mapping_evict_folio */
function evictClean(kernel: Kernel, pfn: number): boolean {
  const { memory } = kernel;
  const mapping = folioMapping(kernel, pfn);
  if (mapping === undefined || isShmem(mapping) || folioMapcount(kernel, pfn) > 0) return false;
  if ((memory.flags[pfn] & (PG_DIRTY | PG_PRIVATE)) !== 0) return false;
  if (memory.refcount[pfn] !== folioExpectedRefCount(kernel, pfn) + 1) return false;
  removeCacheFolio(kernel, mapping, pfn);
  memory.flags[pfn] |= PG_HWPOISON;
  folioPut(kernel, pfn);
  return true;
}
