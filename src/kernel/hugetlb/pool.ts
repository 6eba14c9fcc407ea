import { NIL, PMD_ORDER } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { folioAlloc, folioFree } from '../phys/folio.js';
import { PG_HUGETLB } from '../phys/page_flags.js';

/**
 * Sets the number of pages in a pool, as far as memory allows. Used and promised pages stay;
 * those beyond the number leave when they are freed. @kernel set_max_huge_pages
 */
export function setHugetlbPool(kernel: Kernel, pages: number, order = PMD_ORDER): void {
  const pool = kernel.hugetlb.of(order);
  while (pool.surplus > 0 && pool.total - pool.surplus < pages) pool.surplus -= 1;
  while (pool.total - pool.surplus < pages) {
    const head = folioAlloc(kernel, order, 0);
    if (head === NIL) break;
    kernel.memory.refcount[head] = 0;
    kernel.memory.flags[head] |= PG_HUGETLB;
    pool.free.push(head);
    pool.total += 1;
  }
  while (pool.total - pool.surplus > pages && pool.available > 0) {
    const head = pool.free.pop() ?? NIL;
    kernel.memory.flags[head] &= ~PG_HUGETLB;
    pool.total -= 1;
    folioFree(kernel, head);
  }
  const excess = pool.total - pool.surplus - pages;
  if (excess > 0) pool.surplus += Math.min(excess, pool.total - pool.free.length);
}
