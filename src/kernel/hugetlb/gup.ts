import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Vma } from '../vm/vma.js';

/** Like `followPage` for hugetlb VMAs: the grabbed pfn, -1 needs a fault, -2 needs unsharing. */
export function followHugetlbPage(_kernel: Kernel, _vma: Vma, vpn: number, _flags: number): number {
  fail(`hugetlb page lookup at ${vpn} is not written yet`);
}
