import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';

/** Runs the deferred-split shrinker of a control group (spec 98 §9.4). @kernel deferred_split_scan */
export function* shrinkDeferred(kernel: Kernel, memcg: number): Op<void> {
  if (kernel.deferredSplit.list(memcg).length > 0) fail('the split shrinker is not written yet');
}
