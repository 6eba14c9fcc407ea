import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';

/** Reclaims isolated folios, used or not; puts back what stays. @kernel reclaim_pages */
export function* reclaimPages(_kernel: Kernel, isolated: readonly number[]): Op<void> {
  fail(`reclaim of ${isolated.length} folios is not written yet`);
}
