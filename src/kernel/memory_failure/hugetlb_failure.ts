import { EBUSY } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { migratePages, tryIsolate } from '../migrate/migrate_pages.js';
import { nodeAllocator, nodeOfPage } from '../migrate/numa_node.js';
import { downWrite, upWrite, type Op } from '../op/prims.js';
import { folioFree, folioMapcount, folioMapping, folioOrder, folioPut } from '../phys/folio.js';
import { PG_HUGETLB, PG_HWPOISON } from '../phys/page_flags.js';
import { tryToUnmap } from '../rmap/try_to_unmap.js';
import { TTU_HWPOISON, TTU_IGNORE_MLOCK, TTU_RMAP_LOCKED, TTU_SYNC } from '../rmap/ttu_flags.js';

/**
 * The contents of one page of a huge page are lost: every mapping of the whole gets an entry that
 * raises SIGBUS. Anonymous memory then leaves the pool, and its other pages are free; a file keeps
 * the page, so that faults find it. The caller's reference is dropped for anonymous memory, kept
 * for files. Returns 0, or -EBUSY if somebody else holds the huge page.
 * @kernel try_memory_failure_hugetlb @kernel me_huge_page
 */
export function* hugetlbFailure(kernel: Kernel, pfn: number, head: number): Op<number> {
  const { memory } = kernel;
  memory.flags[head] |= PG_HWPOISON;
  const mapping = folioMapping(kernel, head);
  const flags = TTU_IGNORE_MLOCK | TTU_SYNC | TTU_HWPOISON;
  if (mapping === undefined) {
    yield* tryToUnmap(kernel, head, flags);
  } else {
    // Shared page tables are taken apart, so no walk may be inside.
    yield* downWrite(mapping.iMmapRwsem);
    yield* tryToUnmap(kernel, head, flags | TTU_RMAP_LOCKED);
    yield* upWrite(mapping.iMmapRwsem);
  }
  if (folioMapcount(kernel, head) !== 0) return -EBUSY;
  if (mapping !== undefined) {
    return memory.refcount[head] > 1 + 2 ** folioOrder(kernel, head) ? -EBUSY : 0;
  }
  if (memory.refcount[head] > 1) {
    // Leaves the pool as a whole when its last user goes.
    folioPut(kernel, head);
    return -EBUSY;
  }
  memory.flags[head] &= ~PG_HWPOISON;
  memory.flags[pfn] |= PG_HWPOISON;
  const pool = kernel.hugetlb.of(folioOrder(kernel, head));
  pool.total -= 1;
  pool.temporary.add(head);
  folioPut(kernel, head);
  return 0;
}

/**
 * Moves a huge page away, takes it out of its pool and frees all of it but `pfn`. The caller's
 * reference is dropped. Returns 0 or -EBUSY. @kernel soft_offline_in_use_page
 */
export function* hugetlbSoftOffline(kernel: Kernel, pfn: number, head: number): Op<number> {
  const { memory } = kernel;
  const isIsolated = tryIsolate(kernel, head);
  folioPut(kernel, head);
  if (!isIsolated) return -EBUSY;
  const pool = kernel.hugetlb.of(folioOrder(kernel, head));
  const node = nodeOfPage(kernel, head);
  const allocate = nodeAllocator(kernel, node);
  const isOnNode = (page: number): boolean => nodeOfPage(kernel, page) === node;
  // The mark stays with the page when the huge one is taken apart.
  if (pfn !== head) memory.flags[pfn] |= PG_HWPOISON;
  const reason = pfn === head ? 'memoryFailure' : 'syscall';
  if ((yield* migratePages(kernel, [head], allocate, reason, isOnNode)) > 0) {
    if (pfn !== head) memory.flags[pfn] &= ~PG_HWPOISON;
    return -EBUSY;
  }
  const at = pool.free.indexOf(head);
  if (at < 0) return 0;
  // It changed places with a free page of the pool, which is smaller by one now.
  if (pool.available <= 0) return -EBUSY;
  pool.free.splice(at, 1);
  pool.total -= 1;
  memory.flags[head] &= ~PG_HUGETLB;
  folioFree(kernel, head);
  return 0;
}
