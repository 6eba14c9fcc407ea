import { fail } from '../../base/errors.js';
import { NIL, PMD_ORDER } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioMapcount, folioOrder, folioPageCount, isAnonFolio } from '../phys/folio.js';
import { drainMlock } from '../phys/mlock.js';
import { PG_HUGETLB, PG_LRU, PG_PRIVATE, PG_SWAPCACHE, PG_TAIL } from '../phys/page_flags.js';
import { migratePages, tryIsolate } from './migrate_pages.js';
import { nodeCount, nodeRange } from './numa_node.js';

/**
 * Moves what can be moved from the bottom of each node to free pages at its top, until the two
 * meet, so that the free memory is in large blocks. Returns how many folios moved.
 * @kernel compact_nodes
 */
export function* compactMemory(kernel: Kernel): Op<number> {
  drainMlock(kernel);
  let moved = 0;
  for (let node = 0; node < nodeCount(kernel); node += 1) {
    const { from, to } = nodeRange(kernel, node);
    moved += yield* compactRange(kernel, from, to);
  }
  return moved;
}

/** @kernel compact_zone */
function* compactRange(kernel: Kernel, from: number, to: number): Op<number> {
  const { memory } = kernel;
  let moved = 0;
  // Where the search for free blocks goes on, for each order; single pages set the end.
  const freeEnds = new Array<number>(PMD_ORDER).fill(to);
  let pfn = from;
  while (pfn < freeEnds[0]) {
    const head = memory.folioOf(pfn);
    const pages = folioPageCount(kernel, head);
    if (pfn === head && isMovable(kernel, head)) {
      const behind = pfn + pages;
      const allocate = (order: number): number => {
        const block = memory.allocHighest(order, behind, freeEnds[order]);
        freeEnds[order] = block === NIL ? behind : block + 2 ** order;
        return block;
      };
      if (!tryIsolate(kernel, head)) fail(`folio ${head} is on an LRU list but cannot leave it`);
      if ((yield* migratePages(kernel, [head], allocate, 'compaction')) === 0) moved += 1;
    }
    pfn = Math.max(pfn + 1, head + pages);
  }
  return moved;
}

/**
 * On an LRU list, not as large as a page block, and not held by anybody who is not known: such a
 * migration would fail in the end. @kernel isolate_migratepages_block
 */
function isMovable(kernel: Kernel, head: number): boolean {
  const { memory } = kernel;
  const flags = memory.flags[head];
  if ((flags & PG_LRU) === 0 || (flags & (PG_TAIL | PG_HUGETLB)) !== 0) return false;
  if (folioOrder(kernel, head) >= PMD_ORDER) return false;
  if (!isAnonFolio(kernel, head) || (flags & (PG_SWAPCACHE | PG_PRIVATE)) !== 0) return true;
  return memory.refcount[head] <= folioMapcount(kernel, head);
}
