import { PAGES_PER_PMD } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioGet, folioPageCount, folioPut } from '../phys/folio.js';
import { largeRow } from '../phys/large_folio.js';
import { PG_MLOCKED } from '../phys/page_flags.js';
import { deferredSplitFolio, dequeueDeferredSplit } from './deferred.js';
import { splitFolio } from './split.js';

/**
 * Runs the deferred-split shrinker over the queue of a control group (spec 20 §8, 98 §9.4): every
 * folio leaves the queue; partially mapped and mostly zero-filled ones are split. One that is
 * partially mapped and cannot be split now is queued again. @kernel deferred_split_scan
 */
export function* shrinkDeferred(kernel: Kernel, memcg: number): Op<void> {
  const { large, memory } = kernel;
  for (const head of kernel.deferredSplit.list(memcg)) {
    // An earlier split may have freed it.
    const row = largeRow(kernel, head);
    if (large.head[row] !== head || large.deferred[row] === 0) continue;
    dequeueDeferredSplit(kernel, head);
    const isPartial = large.partiallyMapped[row] !== 0;
    const isMlocked = (memory.flags[head] & PG_MLOCKED) !== 0;
    if (!isPartial && (isMlocked || !isUnderused(kernel, head))) continue;
    folioGet(kernel, head);
    const failed = yield* splitFolio(kernel, head);
    if (failed !== 0 && isPartial) deferredSplitFolio(kernel, head, true);
    folioPut(kernel, head);
  }
}

/** More zero-filled pages than khugepaged would have tolerated empty ones. @kernel thp_underused */
export function isUnderused(kernel: Kernel, head: number): boolean {
  const { maxPtesNone, shrinkUnderused } = kernel.knobs;
  if (!shrinkUnderused || maxPtesNone === PAGES_PER_PMD - 1) return false;
  const { content } = kernel.memory;
  const end = head + folioPageCount(kernel, head);
  let zeroFilled = 0;
  for (let page = head; page < end; page += 1) {
    if (content[page] !== 0) continue;
    zeroFilled += 1;
    if (zeroFilled > maxPtesNone) return true;
  }
  return false;
}
