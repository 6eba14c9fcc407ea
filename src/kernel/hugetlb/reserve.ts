import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Vma } from '../vm/vma.js';

/** Reserves the pages of a new mapping: 0 or -ENOMEM. @kernel hugetlb_reserve_pages */
export function hugetlbReserve(_kernel: Kernel, vma: Vma): number {
  fail(`hugetlb reservation at page ${vma.start} is not written yet`);
}

/** Gives the reservation of [start, end) up as its mapping goes. @kernel hugetlb_vm_op_close */
export function hugetlbUnreserve(_kernel: Kernel, _vma: Vma, start: number, _end: number): void {
  fail(`hugetlb reservation at page ${start} is not written yet`);
}
