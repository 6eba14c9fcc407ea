import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { LRU_ACTIVE_FILE, LRU_INACTIVE_FILE } from '../phys/lru.js';
import { shrinkDeferred } from '../thp/shrinker.js';
import type { Mm } from '../vm/mm.js';
import { deactivateFolios, oldestFolios, reclaimableLists, shrinkInactive } from './vmscan.js';

/** The small memory control group of the `memcg` operation. */
export const SMALL_MEMCG = 1;

/** Passes over the lists: the first makes folios old, the second takes them. */
const MAX_PASSES = 5;

/** Puts the mm into the small group, or back into the root group. @kernel cgroup_attach_task */
export function setMemcg(_kernel: Kernel, mm: Mm, isOn: boolean): void {
  mm.memcg = isOn ? SMALL_MEMCG : 0;
}

/**
 * Reclaims what is charged to the small group, then runs its split shrinker (spec 98 §9).
 *
 * Use by processes outside of the group does not count. The active list of anonymous memory is
 * left alone: the group is too small for its statistics to say that the inactive list is short.
 * @kernel mem_cgroup_force_empty
 */
export function* memcgForceEmpty(kernel: Kernel): Op<void> {
  const stuck = new Set<number>();
  for (let pass = 0; pass < MAX_PASSES; pass += 1) {
    let changes = 0;
    for (const list of reclaimableLists(kernel)) {
      const inactive = oldestFolios(kernel, list, SMALL_MEMCG, Infinity);
      const tried = inactive.filter((head) => !stuck.has(head));
      const result = yield* shrinkInactive(kernel, tried, SMALL_MEMCG);
      for (const head of result.stuck) stuck.add(head);
      changes += tried.length;
      if (list === LRU_INACTIVE_FILE) {
        const active = oldestFolios(kernel, LRU_ACTIVE_FILE, SMALL_MEMCG, Infinity);
        yield* deactivateFolios(kernel, active, SMALL_MEMCG);
        changes += active.length;
      }
    }
    if (changes === 0) break;
  }
  yield* shrinkDeferred(kernel, SMALL_MEMCG);
}
