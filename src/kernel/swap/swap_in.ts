import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { Vma } from '../vm/vma.js';

/** @kernel do_swap_page */
export function* doSwapPage(
  _kernel: Kernel,
  _vma: Vma,
  vpn: number,
  _entry: number,
  _faultFlags: number,
): Op<number> {
  fail(`page ${vpn} is read from swap, which is not written yet`);
}
