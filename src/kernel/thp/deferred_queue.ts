/**
 * Large anonymous folios that the deferred-split shrinker shall look at, one queue a memory
 * control group, oldest first. `LargeFolios.deferred` says whether a folio is on a queue.
 * @kernel deferred_split
 */
export class DeferredSplitQueues {
  private readonly byMemcg = new Map<number, Set<number>>();

  add(memcg: number, head: number): void {
    let queue = this.byMemcg.get(memcg);
    if (queue === undefined) {
      queue = new Set();
      this.byMemcg.set(memcg, queue);
    }
    queue.add(head);
  }

  remove(memcg: number, head: number): void {
    this.byMemcg.get(memcg)?.delete(head);
  }

  /** Head pfns of a group's queue in the order of queueing (a copy: the queue may change). */
  list(memcg: number): number[] {
    return [...(this.byMemcg.get(memcg) ?? [])];
  }

  /** Queued folios of all groups. */
  get length(): number {
    let total = 0;
    for (const queue of this.byMemcg.values()) total += queue.size;
    return total;
  }
}

/** Counters by folio order, of anonymous large folios. @kernel mthp_stat */
export class MthpStats {
  /** Anonymous folios in use. @kernel MTHP_STAT_NR_ANON */
  readonly nrAnon = new Int32Array(ORDER_LIMIT);
  /** Of them: partially mapped. @kernel MTHP_STAT_NR_ANON_PARTIALLY_MAPPED */
  readonly nrAnonPartiallyMapped = new Int32Array(ORDER_LIMIT);
  /** Times a folio became partially mapped. @kernel MTHP_STAT_SPLIT_DEFERRED */
  readonly splitDeferred = new Int32Array(ORDER_LIMIT);
  /** The same of PMD-sized folios only. @kernel THP_DEFERRED_SPLIT_PAGE */
  thpDeferredSplitPage = 0;
}

/** Orders of anonymous folios are below this. */
const ORDER_LIMIT = 10;
