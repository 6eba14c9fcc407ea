import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioPageCount } from '../phys/folio.js';
import {
  LRU_ACTIVE_ANON,
  LRU_ACTIVE_FILE,
  LRU_INACTIVE_ANON,
  LRU_INACTIVE_FILE,
} from '../phys/lru.js';
import { DeferredScan } from './deferred_scan.js';
import type { GroupHistory } from './group_history.js';
import { DEF_PRIORITY } from './direct.js';
import { deactivateFolios, oldestFolios, shrinkInactive, SWAP_CLUSTER_MAX } from './vmscan.js';

/** Pages to look at, by LRU list. */
type ScanCounts = [number, number, number, number];

/** Share of 200 that anonymous memory gets while neither kind costs more. @kernel vm_swappiness */
const SWAPPINESS = 60;
/** @kernel MAX_SWAPPINESS */
const MAX_SWAPPINESS = 200;

/**
 * Reclaim of one memory control group. A walk looks at the lists in rounds: each at twice as much
 * as the one before, until a batch of pages is free or the last round has seen everything. The
 * split shrinker runs at the end of rounds, so it may split a folio before or after the lists are
 * walked as far as that folio. Of a real group, what processes hold besides the scenario's memory
 * takes part too and can shift that moment.
 */
export class GroupReclaim {
  private readonly memcg: number;
  private readonly history: GroupHistory;
  private readonly deferred: DeferredScan;
  /** Active folios are made old. @kernel scan_control.force_deactivate */
  private deactivates = false;
  /** Some active folios were left alone. @kernel scan_control.skipped_deactivate */
  private skippedActive = false;
  /** Anything at all was looked at: otherwise trying again is of no use. */
  private hasScanned = false;
  /** Pages on each list, while it is known. The lists are those of all groups: counting is dear. */
  private readonly known: Array<number | undefined> = [];

  constructor(memcg: number, history: GroupHistory) {
    this.memcg = memcg;
    this.history = history;
    this.deferred = new DeferredScan(memcg, history);
  }

  /**
   * One attempt: at most three walks, the last of which makes active folios old. Returns pages
   * freed, or undefined if there was nothing to look at. @kernel try_to_free_mem_cgroup_pages
   */
  *attempt(kernel: Kernel): Op<number | undefined> {
    this.hasScanned = false;
    this.skippedActive = false;
    this.deactivates = false;
    let freed = yield* this.walk(kernel);
    if (freed === 0 && this.hasScanned) freed = yield* this.walk(kernel);
    if (freed === 0 && this.skippedActive) {
      this.deactivates = true;
      freed = yield* this.walk(kernel);
    }
    return freed > 0 || this.hasScanned ? freed : undefined;
  }

  private *walk(kernel: Kernel): Op<number> {
    let freed = 0;
    this.known.length = 0;
    for (let priority = DEF_PRIORITY; priority >= 0 && freed < SWAP_CLUSTER_MAX; priority -= 1) {
      freed += yield* this.shrinkLists(kernel, priority);
      if (yield* this.deferred.round(kernel, priority)) {
        this.hasScanned = true;
        this.known.length = 0;
      }
    }
    return freed;
  }

  /** @kernel shrink_lruvec */
  private *shrinkLists(kernel: Kernel, priority: number): Op<number> {
    const counts = this.scanCounts(kernel, priority);
    let freed = 0;
    while (
      freed < SWAP_CLUSTER_MAX &&
      counts[LRU_INACTIVE_ANON] + counts[LRU_INACTIVE_FILE] + counts[LRU_ACTIVE_FILE] > 0
    ) {
      for (let list = LRU_INACTIVE_ANON; list <= LRU_ACTIVE_FILE; list += 1) {
        const pages = Math.min(counts[list], SWAP_CLUSTER_MAX);
        if (pages === 0) continue;
        counts[list] -= pages;
        freed += yield* this.shrinkList(kernel, list, pages);
      }
    }
    return freed;
  }

  /** @kernel shrink_list */
  private *shrinkList(kernel: Kernel, list: number, pages: number): Op<number> {
    const { memcg } = this;
    if (list === LRU_ACTIVE_ANON || list === LRU_ACTIVE_FILE) {
      if (this.deactivates) {
        yield* deactivateFolios(kernel, oldestFolios(kernel, list, memcg, pages), memcg);
        this.known.length = 0;
      } else {
        this.skippedActive = true;
      }
      return 0;
    }
    const folios = oldestFolios(kernel, list, memcg, pages);
    if (folios.length > 0) this.hasScanned = true;
    let scanned = 0;
    for (const head of folios) scanned += folioPageCount(kernel, head);
    const reclaimed = yield* shrinkInactive(kernel, folios, memcg);
    this.noteCost(list, scanned, reclaimed);
    // What was not freed went elsewhere, or was split.
    const before = this.known[list];
    if (reclaimed !== scanned) this.known.length = 0;
    else if (before !== undefined) this.known[list] = before - reclaimed;
    return reclaimed;
  }

  /** Shares of a round: of all lists the same part, weighed by what each kind costs. @kernel get_scan_count */
  private scanCounts(kernel: Kernel, priority: number): ScanCounts {
    const { anonCost, fileCost } = this.history;
    const total = anonCost + fileCost;
    const ofAnon = Math.trunc((SWAPPINESS * (3 * total + 1)) / (total + anonCost + 1));
    const fileShare = MAX_SWAPPINESS - SWAPPINESS;
    const ofFile = Math.trunc((fileShare * (3 * total + 1)) / (total + fileCost + 1));
    const counts: ScanCounts = [0, 0, 0, 0];
    const hasSlots = kernel.swap.freeSlots > 0;
    for (let list = LRU_INACTIVE_ANON; list <= LRU_ACTIVE_FILE; list += 1) {
      const isAnon = list === LRU_INACTIVE_ANON || list === LRU_ACTIVE_ANON;
      if (isAnon && !hasSlots) continue;
      const pages = this.pagesOf(kernel, list) >>> priority;
      const share = isAnon ? ofAnon : ofFile;
      // The last round looks at everything.
      const isWhole = priority === 0 || !hasSlots;
      counts[list] = isWhole ? pages : Math.trunc((pages * share) / (ofAnon + ofFile));
    }
    return counts;
  }

  /** Writing costs as much as looking at a batch in vain. @kernel lru_note_cost */
  private noteCost(list: number, scanned: number, reclaimed: number): void {
    const isAnon = list === LRU_INACTIVE_ANON;
    const cost = scanned - reclaimed + (isAnon ? reclaimed * SWAP_CLUSTER_MAX : 0);
    if (cost === 0) return;
    const { history } = this;
    if (isAnon) history.anonCost += cost;
    else history.fileCost += cost;
    // A small group's size is not in its statistics yet: every cost is large beside it.
    history.anonCost >>>= 1;
    history.fileCost >>>= 1;
  }

  private pagesOf(kernel: Kernel, list: number): number {
    return (this.known[list] ??= this.countPages(kernel, list));
  }

  private countPages(kernel: Kernel, list: number): number {
    const { lru, memory } = kernel;
    let pages = 0;
    for (let head = lru.tail[list]; head !== NIL; head = memory.previous[head]) {
      if (memory.memcg[head] === this.memcg) pages += folioPageCount(kernel, head);
    }
    return pages;
  }
}
