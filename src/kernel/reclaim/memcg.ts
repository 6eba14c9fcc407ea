import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { Mm } from '../vm/mm.js';

/** The small memory control group of the `memcg` operation. */
export const SMALL_MEMCG = 1;

/** Puts the mm into the small group, or back into the root group. @kernel cgroup_attach_task */
export function setMemcg(_kernel: Kernel, mm: Mm, isOn: boolean): void {
  mm.memcg = isOn ? SMALL_MEMCG : 0;
}

/** Reclaims everything that is charged to the small group. @kernel mem_cgroup_force_empty */
export function* memcgForceEmpty(_kernel: Kernel): Op<void> {
  fail('reclaim is not written yet');
}
