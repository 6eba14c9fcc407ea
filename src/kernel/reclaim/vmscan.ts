import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import {
  LRU_ACTIVE_ANON,
  LRU_ACTIVE_FILE,
  LRU_INACTIVE_ANON,
  LRU_INACTIVE_FILE,
} from '../phys/lru.js';
import { folioPageCount } from '../phys/folio.js';
import { PG_ACTIVE, PG_LRU, PG_UNEVICTABLE, PG_WORKINGSET } from '../phys/page_flags.js';
import { folioReferenced } from '../rmap/folio_referenced.js';
import { folioIsolateLru } from './isolate.js';
import type { ShrinkControl } from './shrink_control.js';
import { shrinkFolioList } from './shrink_list.js';

/** Folios that are isolated and reclaimed together. @kernel SWAP_CLUSTER_MAX */
export const SWAP_CLUSTER_MAX = 32;
/** Reclaim on behalf of all control groups: the root group contains the others. */
export const ALL_GROUPS = 0;

/**
 * The oldest folios of a list that are charged to `memcg`, oldest first: as many as have `pages`
 * pages or more together. @kernel isolate_lru_folios
 */
export function oldestFolios(kernel: Kernel, list: number, memcg: number, pages: number): number[] {
  const { memory, lru } = kernel;
  const found: number[] = [];
  let left = pages;
  for (let head = lru.tail[list]; head !== NIL && left > 0; head = memory.previous[head]) {
    if (memcg !== ALL_GROUPS && memory.memcg[head] !== memcg) continue;
    found.push(head);
    left -= folioPageCount(kernel, head);
  }
  return found;
}

/** Lists that reclaim may look at: anonymous memory only while there are free slots. */
export function reclaimableLists(kernel: Kernel): readonly number[] {
  const hasSlots = kernel.swap.freeSlots > 0;
  return hasSlots ? [LRU_INACTIVE_ANON, LRU_INACTIVE_FILE] : [LRU_INACTIVE_FILE];
}

/** The active list beside an inactive one. */
export function activeListOf(inactiveList: number): number {
  return inactiveList === LRU_INACTIVE_ANON ? LRU_ACTIVE_ANON : LRU_ACTIVE_FILE;
}

/**
 * Reclaims the given listed folios in batches. Folios that are used stay and become old. Returns
 * pages freed.
 * @kernel shrink_inactive_list
 */
export function* shrinkInactive(
  kernel: Kernel,
  folios: readonly number[],
  memcg: number,
): Op<number> {
  const control: ShrinkControl = { ignoresReferences: false, memcg };
  let reclaimed = 0;
  for (let from = 0; from < folios.length; from += SWAP_CLUSTER_MAX) {
    const batch = folios.slice(from, from + SWAP_CLUSTER_MAX);
    // Some may have gone while others were reclaimed.
    const isolated = batch.filter((head) => canIsolate(kernel, head));
    for (const head of isolated) folioIsolateLru(kernel, head);
    reclaimed += yield* shrinkFolioList(kernel, isolated, control);
  }
  return reclaimed;
}

function canIsolate(kernel: Kernel, head: number): boolean {
  return (kernel.memory.flags[head] & (PG_LRU | PG_UNEVICTABLE)) === PG_LRU;
}

/** Moves active folios to the inactive list, whatever their accessed bits say. @kernel shrink_active_list */
export function* deactivateFolios(
  kernel: Kernel,
  folios: readonly number[],
  memcg: number,
): Op<void> {
  for (const head of folios) {
    yield* folioReferenced(kernel, head, false, memcg);
    if ((kernel.memory.flags[head] & PG_ACTIVE) === 0) continue;
    kernel.lru.change(head, PG_WORKINGSET, PG_ACTIVE);
  }
}
