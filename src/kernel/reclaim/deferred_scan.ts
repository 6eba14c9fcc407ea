import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { GroupHistory } from './group_history.js';
import { shrinkDeferred } from '../thp/shrinker.js';

/** Objects that a shrinker is asked for at once. @kernel SHRINK_BATCH */
const SHRINK_BATCH = 128;
/** Urgency of a round counts this much for an object that is cheap to make again. @kernel DEFAULT_SEEKS */
const SCANS_PER_OBJECT = 2;

/**
 * When the split shrinker of a group gets its turn: each round owes it twice the queue's length,
 * less the more rounds are still to come, and it runs once it is owed the whole queue. A queue of
 * one folio waits for the last round, two for the last but one. @kernel do_shrink_slab
 */
export class DeferredScan {
  private readonly memcg: number;
  private readonly history: GroupHistory;

  constructor(memcg: number, history: GroupHistory) {
    this.memcg = memcg;
    this.history = history;
  }

  /** The end of a round. Returns whether the shrinker ran. */
  *round(kernel: Kernel, priority: number): Op<boolean> {
    const queued = kernel.deferredSplit.list(this.memcg).length;
    if (queued === 0) return false;
    const { history } = this;
    const added = SCANS_PER_OBJECT * (queued >>> priority);
    let left = Math.min((history.owedSplits >>> priority) + added, 2 * queued);
    let scanned = 0;
    while (left >= queued || left >= SHRINK_BATCH) {
      yield* shrinkDeferred(kernel, this.memcg);
      const step = Math.min(left, SHRINK_BATCH);
      scanned += step;
      left -= step;
    }
    const owed = Math.max(history.owedSplits + added - scanned, 0);
    history.owedSplits = Math.min(owed, 2 * queued);
    return scanned > 0;
  }
}
