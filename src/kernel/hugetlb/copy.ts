import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Vma } from '../vm/vma.js';

/** fork's copy of a hugetlb VMA: entries copied or -ENOMEM. @kernel copy_hugetlb_page_range */
export function copyHugetlbRange(_kernel: Kernel, _child: Vma, parent: Vma): number {
  fail(`hugetlb fork at page ${parent.start} is not written yet`);
}
