import { syncFile } from '../file/sync.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { drainMlock } from '../phys/mlock.js';
import {
  activeListOf,
  ALL_GROUPS,
  deactivateFolios,
  oldestFolios,
  reclaimableLists,
  shrinkInactive,
  SWAP_CLUSTER_MAX,
} from './vmscan.js';

/** Rounds before giving up; each looks at twice as much as the one before. @kernel DEF_PRIORITY */
export const DEF_PRIORITY = 12;

/**
 * Frees memory for an allocation that failed: the oldest folios of all lists go until a batch of
 * pages is free. Returns pages freed. @kernel try_to_free_pages
 */
export function* directReclaim(kernel: Kernel): Op<number> {
  drainMlock(kernel);
  let freed = yield* scanRounds(kernel);
  if (freed > 0) return freed;
  // Only dirty file pages are left: the flushers write them, then they can go.
  for (const mapping of kernel.mappings) {
    if (mapping?.kind === 'tmp') yield* syncFile(kernel, mapping);
  }
  freed = yield* scanRounds(kernel);
  return freed;
}

function* scanRounds(kernel: Kernel): Op<number> {
  const { length } = kernel.lru;
  let freed = 0;
  for (let priority = DEF_PRIORITY; priority >= 0; priority -= 1) {
    for (const list of reclaimableLists(kernel)) {
      const active = activeListOf(list);
      if (length[list] < length[active]) {
        const count = Math.max(SWAP_CLUSTER_MAX, length[active] >>> priority);
        yield* deactivateFolios(
          kernel,
          oldestFolios(kernel, active, ALL_GROUPS, count),
          ALL_GROUPS,
        );
      }
      const count = Math.max(SWAP_CLUSTER_MAX, length[list] >>> priority);
      const oldest = oldestFolios(kernel, list, ALL_GROUPS, count);
      freed += yield* shrinkInactive(kernel, oldest, ALL_GROUPS);
    }
    if (freed >= SWAP_CLUSTER_MAX) break;
  }
  return freed;
}
