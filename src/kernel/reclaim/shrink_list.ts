import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioFree, folioPageCount } from '../phys/folio.js';
import { PG_ACTIVE, PG_ISOLATED, PG_LRU, PG_UNEVICTABLE } from '../phys/page_flags.js';
import { TlbBatch, tryToUnmapFlush } from '../rmap/tlb_batch.js';
import { areaForRuns, takeRun } from './anon_run.js';
import { folioPutbackLru } from './isolate.js';
import type { ShrinkBatch, ShrinkControl } from './shrink_control.js';
import { shrinkFolio, type Outcome } from './shrink_folio.js';
import { shrinkRun } from './shrink_run.js';

/**
 * Reclaims isolated folios in the given order, as far as possible, and puts back the others
 * (spec 50 §9). Returns pages freed. @kernel shrink_folio_list
 */
export function* shrinkFolioList(
  kernel: Kernel,
  isolated: readonly number[],
  control: ShrinkControl,
): Op<number> {
  let reclaimed = 0;
  const batch: ShrinkBatch = {
    control,
    tlb: new TlbBatch(),
    pending: isolated.toReversed(),
    kept: [],
  };
  const freed: number[] = [];
  const written: number[] = [];
  const report = (head: number, outcome: Outcome): void => {
    if (outcome === 'freed') {
      freed.push(head);
      return;
    }
    batch.kept.push(head);
    if (outcome === 'written') written.push(head);
  };
  while (batch.pending.length > 0) {
    const area = areaForRuns(kernel);
    if (area !== undefined && takeRun(kernel, batch.pending, kernel.swap.run)) {
      yield* shrinkRun(kernel, kernel.swap.run, area, batch, report);
      continue;
    }
    const head = batch.pending.pop() ?? NIL;
    const outcome: Outcome = yield* shrinkFolio(kernel, head, batch);
    if (outcome === 'again') batch.pending.push(head);
    else report(head, outcome);
  }
  // Nobody may reach a page through a stale translation once it is free.
  tryToUnmapFlush(kernel, batch.tlb);
  for (const head of freed) reclaimed += freeReclaimed(kernel, head);
  for (const head of batch.kept) folioPutbackLru(kernel, head);
  // Their writes have ended meanwhile: next in line to be freed.
  for (const head of written) rotateReclaimable(kernel, head);
  return reclaimed;
}

function freeReclaimed(kernel: Kernel, head: number): number {
  const pages = folioPageCount(kernel, head);
  kernel.memory.flags[head] &= ~PG_ISOLATED;
  folioFree(kernel, head);
  return pages;
}

/** @kernel folio_rotate_reclaimable */
function rotateReclaimable(kernel: Kernel, head: number): void {
  const wanted = kernel.memory.flags[head] & (PG_LRU | PG_UNEVICTABLE | PG_ACTIVE);
  if (wanted !== PG_LRU) return;
  kernel.lru.remove(head);
  kernel.lru.addTail(head);
}

/** Reclaims isolated folios, used or not; puts back what stays. @kernel reclaim_pages */
export function* reclaimPages(kernel: Kernel, isolated: readonly number[]): Op<number> {
  const { flags } = kernel.memory;
  for (const head of isolated) flags[head] &= ~PG_ACTIVE;
  return yield* shrinkFolioList(kernel, isolated, {
    ignoresReferences: true,
    memcg: 0,
  });
}
