import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { Vma } from '../vm/vma.js';

/** @kernel swapin_walk_pmd_entry */
export function* swapinWalk(kernel: Kernel, _vma: Vma, start: number, _end: number): Op<number> {
  if (kernel.swap.devices.length === 0) return 0;
  fail(`page ${start} is read ahead from swap, which is not written yet`);
}
