import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { PG_LRU, PG_SWAPBACKED } from '../phys/page_flags.js';
import { shrinkDeferred } from '../thp/shrinker.js';
import type { Mm } from '../vm/mm.js';
import {
  activeListOf,
  deactivateFolios,
  oldestFolios,
  reclaimableLists,
  shrinkInactive,
} from './vmscan.js';

/** The small memory control group of the `memcg` operation. */
export const SMALL_MEMCG = 1;

/** Passes over the lists: the first makes folios old, the second takes them. */
const MAX_PASSES = 5;

/** Puts the mm into the small group, or back into the root group. @kernel cgroup_attach_task */
export function setMemcg(_kernel: Kernel, mm: Mm, isOn: boolean): void {
  mm.memcg = isOn ? SMALL_MEMCG : 0;
}

/**
 * Reclaims everything that is charged to the small group, then runs its split shrinker
 * (spec 98 §9). @kernel mem_cgroup_force_empty
 */
export function* memcgForceEmpty(kernel: Kernel): Op<void> {
  const stuck = new Set<number>();
  for (let pass = 0; pass < MAX_PASSES; pass += 1) {
    let changes = 0;
    for (const list of reclaimableLists(kernel)) {
      const inactive = oldestFolios(kernel, list, SMALL_MEMCG, Infinity);
      const tried = inactive.filter((head) => !stuck.has(head));
      changes += tried.length;
      const result = yield* shrinkInactive(kernel, tried);
      for (const head of result.stuck) stuck.add(head);
      const active = oldestFolios(kernel, activeListOf(list), SMALL_MEMCG, Infinity);
      const old = active.filter((head) => !stuck.has(head) || isLazyFree(kernel, head));
      changes += old.length;
      yield* deactivateFolios(kernel, old);
    }
    if (changes === 0) break;
  }
  yield* shrinkDeferred(kernel, SMALL_MEMCG);
}

/** The file lists are aged on until the end; anonymous folios that cannot go stay active. */
function isLazyFree(kernel: Kernel, head: number): boolean {
  return (kernel.memory.flags[head] & (PG_LRU | PG_SWAPBACKED)) === PG_LRU;
}
