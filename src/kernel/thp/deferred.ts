import { fail } from '../../base/errors.js';
import { PMD_ORDER } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { largeRow } from '../phys/large_folio.js';
import { PG_SWAPCACHE } from '../phys/page_flags.js';

/**
 * Queues a large anonymous folio for the deferred-split shrinker (spec 20 §8).
 *
 * @param partially A part of the folio is unmapped for good; otherwise the folio is fresh and is
 *   queued so that the shrinker can look whether it is mostly zeros.
 * @kernel deferred_split_folio
 */
export function deferredSplitFolio(kernel: Kernel, head: number, partially: boolean): void {
  const { large, memory, mthp } = kernel;
  const row = largeRow(kernel, head);
  const order = large.order[row];
  // Folios of order 1 have no room for a list link.
  if (order <= 1) return;
  if (!partially && !kernel.knobs.shrinkUnderused) return;
  if ((memory.flags[head] & PG_SWAPCACHE) !== 0) return;
  if (partially) {
    if (large.partiallyMapped[row] === 0) {
      large.partiallyMapped[row] = 1;
      mthp.splitDeferred[order] += 1;
      mthp.nrAnonPartiallyMapped[order] += 1;
      if (order >= PMD_ORDER) mthp.thpDeferredSplitPage += 1;
    }
  } else if (large.partiallyMapped[row] !== 0) {
    fail(`partially mapped folio ${head} is queued as a fresh one`);
  }
  if (large.deferred[row] !== 0) return;
  large.deferred[row] = 1;
  kernel.deferredSplit.add(memory.memcg[head], head);
}

/**
 * Takes a folio off its queue without changing `partiallyMapped`. Returns whether it was on one.
 */
export function dequeueDeferredSplit(kernel: Kernel, head: number): boolean {
  const { large } = kernel;
  const row = largeRow(kernel, head);
  if (large.deferred[row] === 0) return false;
  large.deferred[row] = 0;
  kernel.deferredSplit.remove(kernel.memory.memcg[head], head);
  return true;
}

/**
 * Takes a folio that is split or freed off its queue and forgets that it was partially mapped.
 * Returns whether it was queued. @kernel folio_unqueue_deferred_split
 */
export function folioUnqueueDeferredSplit(kernel: Kernel, head: number): boolean {
  const { large, mthp } = kernel;
  const row = largeRow(kernel, head);
  if (large.partiallyMapped[row] !== 0) {
    large.partiallyMapped[row] = 0;
    mthp.nrAnonPartiallyMapped[large.order[row]] -= 1;
  }
  return dequeueDeferredSplit(kernel, head);
}

/** Counts an anonymous large folio of this order that appears (1) or goes (-1). @kernel mod_mthp_stat */
export function countAnonFolio(kernel: Kernel, order: number, change: number): void {
  kernel.mthp.nrAnon[order] += change;
}
