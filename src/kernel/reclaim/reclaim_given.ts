import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { presentPage } from '../ksm/scan_position.js';
import type { Op } from '../op/prims.js';
import { isAnonFolio } from '../phys/folio.js';
import { PG_LRU } from '../phys/page_flags.js';
import { findSwapCachePage } from '../swap/swap_cache.js';
import { isSwapPte } from '../swap/swap_pte.js';
import type { Mm } from '../vm/mm.js';
import { folioIsolateLru } from './isolate.js';
import { reclaimPages } from './shrink_list.js';

/**
 * Reclaims the anonymous folios that [start, end) maps or has swap entries of, used or not and
 * whoever shares them: what reclaim did, for who knows which folios it took. Returns the number of pages freed.
 */
export function* reclaimGivenPages(kernel: Kernel, mm: Mm, start: number, end: number): Op<number> {
  const { memory } = kernel;
  const isolated: number[] = [];
  for (let vpn = start; vpn < end; vpn += 1) {
    const present = presentPage(kernel, mm, vpn);
    const page = present === NIL ? cachedPage(kernel, mm, vpn) : present;
    if (page === NIL) continue;
    const head = memory.folioOf(page);
    if (!isAnonFolio(kernel, head) || (memory.flags[head] & PG_LRU) === 0) continue;
    folioIsolateLru(kernel, head);
    isolated.push(head);
  }
  return yield* reclaimPages(kernel, isolated);
}

/** The page in the swap cache that a swap entry refers to, or NIL. */
function cachedPage(kernel: Kernel, mm: Mm, vpn: number): number {
  const { pageTables } = kernel;
  const entry = pageTables.findPte(mm.pgd, vpn);
  if (entry === NIL || !isSwapPte(pageTables.flags[entry])) return NIL;
  return findSwapCachePage(kernel, pageTables.payload[entry]);
}
