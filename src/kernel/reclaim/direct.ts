import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';

/** Frees memory for an allocation that failed. Returns pages freed. @kernel try_to_free_pages */
export function* directReclaim(_kernel: Kernel): Op<number> {
  fail('memory is short: direct reclaim is not written yet');
}
