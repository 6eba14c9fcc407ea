import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { PG_DIRTY } from '../phys/page_flags.js';
import { addToSwapCache, evictUncached } from '../swap/swap_cache.js';
import type { SwapDevice } from '../swap/swap_device.js';
import { collectReferences, unmapRun, type AnonRun } from './anon_run.js';
import { judgeReferences, type References } from './references.js';
import type { ShrinkBatch } from './shrink_control.js';
import { activate, finishUnmapped, type Outcome } from './shrink_folio.js';

/**
 * Reclaims the members of a run as `shrinkFolio` would one after the other. Reports the outcome of
 * each in order.
 */
export function* shrinkRun(
  kernel: Kernel,
  run: AnonRun,
  device: SwapDevice,
  batch: ShrinkBatch,
  report: (head: number, outcome: Outcome) => void,
): Op<void> {
  const { memory } = kernel;
  const { heads, slots, length } = run;
  const reclaimer = batch.control.memcg;
  const verdicts = judgeRun(kernel, run, batch);
  for (let member = 0; member < length; member += 1) {
    const isWanted = verdicts === undefined || isReclaimable(verdicts[member]);
    if (!isWanted) continue;
    const slot = device.alloc(0);
    slots[member] = slot;
    device.memcg[slot] = memory.memcg[heads[member]];
    // In the cache, a folio is dirty until it is written.
    memory.flags[heads[member]] |= PG_DIRTY;
  }
  unmapRun(kernel, run, device);
  for (let member = 0; member < length; member += 1) {
    const head = heads[member];
    const slot = slots[member];
    const verdict = verdicts?.[member] ?? 'reclaim';
    if (slot === NIL) {
      report(head, refused(kernel, head, verdict));
    } else if (verdict === 'reclaim' && evictUncached(kernel, head, device, slot, reclaimer)) {
      report(head, 'freed');
    } else {
      addToSwapCache(kernel, head, device, slot);
      report(head, yield* finishUnmapped(kernel, head, verdict, batch));
    }
  }
}

/** What the members' use says; undefined if nobody asks. */
function judgeRun(kernel: Kernel, run: AnonRun, batch: ShrinkBatch): References[] | undefined {
  if (batch.control.ignoresReferences) return undefined;
  collectReferences(kernel, run, batch.control.memcg);
  const verdicts: References[] = [];
  for (let member = 0; member < run.length; member += 1) {
    const { heads, referenced, vmFlags } = run;
    verdicts.push(judgeReferences(kernel, heads[member], referenced[member], vmFlags[member]));
  }
  return verdicts;
}

function isReclaimable(verdict: References): boolean {
  return verdict === 'reclaim' || verdict === 'reclaimClean';
}

function refused(kernel: Kernel, head: number, verdict: References): Outcome {
  if (verdict === 'locked') return activate(kernel, head, 'kept');
  return verdict === 'activate' ? activate(kernel, head, 'kept') : 'kept';
}
