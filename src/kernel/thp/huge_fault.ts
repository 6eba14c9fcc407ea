import { fail } from '../../base/errors.js';
import { PMD_ORDER } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { Vma } from '../vm/vma.js';
import { allowableAnonOrders, blockFitsVma } from './anon_order.js';

/** Whether a fault at an empty PMD may map 2 MiB of private anonymous memory at once. */
export function isPmdFaultAllowed(kernel: Kernel, vma: Vma, vpn: number): boolean {
  if (vma.file !== undefined || !blockFitsVma(vma, vpn, PMD_ORDER)) return false;
  return (allowableAnonOrders(kernel, vma) & (1 << PMD_ORDER)) !== 0;
}

/** @kernel do_huge_pmd_anonymous_page */
export function* doHugePmdFault(
  _kernel: Kernel,
  _vma: Vma,
  vpn: number,
  _faultFlags: number,
): Op<number> {
  fail(`huge fault at page ${vpn} is not written yet`);
}

/** @kernel do_huge_pmd_wp_page */
export function* doHugePmdWrite(
  _kernel: Kernel,
  _vma: Vma,
  vpn: number,
  _pmd: number,
  _faultFlags: number,
): Op<number> {
  fail(`huge write fault at page ${vpn} is not written yet`);
}
