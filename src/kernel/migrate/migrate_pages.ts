import { NIL } from '../../base/units.js';
import { isolateHugetlb, migrateHugetlb } from '../hugetlb/migrate.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioAlloc, folioPut, folioOrder, largeRow } from '../phys/folio.js';
import { PG_HEAD, PG_HUGETLB, PG_ISOLATED, PG_LRU } from '../phys/page_flags.js';
import { folioIsolateLru, folioPutbackLru } from '../reclaim/isolate.js';
import { splitFolio } from '../thp/split.js';
import { migrateFolio, type MigrateReason } from './migrate_folio.js';

/** Takes a folio off the LRU lists if it is on one, or a huge page. @kernel folio_isolate_lru */
export function tryIsolate(kernel: Kernel, head: number): boolean {
  if ((kernel.memory.flags[head] & PG_HUGETLB) !== 0) return isolateHugetlb(kernel, head);
  if ((kernel.memory.flags[head] & PG_LRU) === 0) return false;
  folioIsolateLru(kernel, head);
  return true;
}

/**
 * Moves isolated folios to blocks that `allocate` takes (NIL: none); what cannot be moved goes back
 * to its list. Huge pages go to free ones for which `isOnNode` says so, before new ones.
 * A partially mapped large folio, and one for which there is no block, is split and its parts
 * move. Returns how many folios stayed. @kernel migrate_pages
 */
export function* migratePages(
  kernel: Kernel,
  heads: readonly number[],
  allocate: (order: number) => number,
  reason: MigrateReason,
  isOnNode: (pfn: number) => boolean = () => false,
): Op<number> {
  const { memory, large } = kernel;
  const queue = [...heads];
  let failedCount = 0;
  for (let head = queue.shift(); head !== undefined; head = queue.shift()) {
    if (memory.refcount[head] === 1) {
      // Freed by its last user meanwhile; ours is the only reference.
      memory.flags[head] &= ~PG_ISOLATED;
      folioPut(kernel, head);
      continue;
    }
    if ((memory.flags[head] & PG_HUGETLB) !== 0) {
      const moved = yield* migrateHugetlb(kernel, head, allocate, isOnNode, reason);
      if (!moved) failedCount += 1;
      continue;
    }
    const isLarge = (memory.flags[head] & PG_HEAD) !== 0;
    if (isLarge && large.deferred[largeRow(kernel, head)] !== 0) {
      const isPartial = large.partiallyMapped[largeRow(kernel, head)] !== 0;
      if (isPartial && (yield* splitIsolated(kernel, head, queue))) continue;
    }
    const order = folioOrder(kernel, head);
    const block = allocate(order);
    if (block === NIL) {
      if (isLarge && (yield* splitIsolated(kernel, head, queue))) continue;
      failedCount += 1;
      folioPutbackLru(kernel, head);
      continue;
    }
    const target = folioAlloc(kernel, order, memory.memcg[head], block);
    if ((yield* migrateFolio(kernel, head, target, reason)) === 0) continue;
    folioPut(kernel, target);
    failedCount += 1;
    folioPutbackLru(kernel, head);
  }
  return failedCount;
}

/** Splits an isolated folio; its parts are queued, isolated too. @kernel try_split_folio */
function* splitIsolated(kernel: Kernel, head: number, queue: number[]): Op<boolean> {
  const parts: number[] = [];
  if ((yield* splitFolio(kernel, head, head, parts)) !== 0) return false;
  queue.unshift(head, ...parts);
  return true;
}
