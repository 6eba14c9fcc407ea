import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';

/** Runs ksmd for `scans` full passes over all mergeable memory. @kernel ksm_do_scan */
export function* ksmScan(kernel: Kernel, scans: number): Op<void> {
  if (kernel.ksm.slots.length > 0) fail(`${scans} KSM passes are not written yet`);
}

/** Unmerges everything and forgets all items (run = 2). @kernel unmerge_and_remove_all_rmap_items */
export function* ksmUnmergeAll(kernel: Kernel): Op<number> {
  if (kernel.ksm.slots.length > 0) fail('unmerging everything is not written yet');
  return 0;
}
