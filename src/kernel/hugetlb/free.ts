import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import { largeRow } from '../phys/large_folio.js';
import { PG_ANON_EXCLUSIVE, PG_HWPOISON } from '../phys/page_flags.js';

/**
 * The last reference of a huge page is gone: back to its pool, where a set dirty flag survives
 * (spec 98 §10). Poisoned and surplus pages leave the pool. Returns whether the caller must free
 * the memory. @kernel free_huge_folio
 */
export function freeHugetlbFolio(kernel: Kernel, head: number): boolean {
  const { memory, large } = kernel;
  const row = largeRow(kernel, head);
  if (large.largeMapcount[row] !== 0) fail(`hugetlb folio ${head} is freed while mapped`);
  const pool = kernel.hugetlb.of(large.order[row]);
  if (pool.restoresReserve.delete(head)) pool.reserved += 1;
  memory.mapping[head] = 0;
  memory.index[head] = 0;
  memory.flags[head] &= ~PG_ANON_EXCLUSIVE;
  if (pool.temporary.delete(head)) return true;
  const isPoisoned = (memory.flags[head] & PG_HWPOISON) !== 0;
  if (isPoisoned || pool.surplus > 0) {
    pool.total -= 1;
    if (!isPoisoned) pool.surplus -= 1;
    return true;
  }
  pool.free.push(head);
  return false;
}
