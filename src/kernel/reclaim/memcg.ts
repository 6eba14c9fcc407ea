import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { Mm } from '../vm/mm.js';
import { GroupReclaim } from './shrink_group.js';

/** The small memory control group of the `memcg` operation. */
export const SMALL_MEMCG = 1;

/** Attempts that free nothing before giving up. @kernel MAX_RECLAIM_RETRIES */
const MAX_RECLAIM_RETRIES = 16;

/** Puts the mm into the small group, or back into the root group. @kernel cgroup_attach_task */
export function setMemcg(_kernel: Kernel, mm: Mm, isOn: boolean): void {
  mm.memcg = isOn ? SMALL_MEMCG : 0;
}

/**
 * Reclaims what is charged to the small group (spec 98 §9); its split shrinker runs meanwhile.
 *
 * Use by processes outside of the group does not count. Active anonymous memory is left alone as
 * long as there is something else to look at that can go, or nothing else at all.
 * @kernel mem_cgroup_force_empty
 */
export function* memcgForceEmpty(kernel: Kernel): Op<void> {
  const group = new GroupReclaim(SMALL_MEMCG, kernel.smallGroup);
  for (let failures = 0; failures < MAX_RECLAIM_RETRIES;) {
    const freed = yield* group.attempt(kernel);
    if (freed === undefined) break;
    if (freed === 0) failures += 1;
  }
}
