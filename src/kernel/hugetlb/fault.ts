import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { Vma } from '../vm/vma.js';

/** Fault in a hugetlb VMA. Returns `VM_FAULT_*` bits. @kernel hugetlb_fault */
export function* hugetlbFault(
  _kernel: Kernel,
  _vma: Vma,
  vpn: number,
  _faultFlags: number,
): Op<number> {
  fail(`hugetlb fault at page ${vpn} is not written yet`);
}
