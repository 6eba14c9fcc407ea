import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';

/** Switches every swap area off. Returns 0 or a negative errno. @kernel swapoff */
export function* swapOff(_kernel: Kernel): Op<number> {
  fail('swapoff is not written yet');
}
