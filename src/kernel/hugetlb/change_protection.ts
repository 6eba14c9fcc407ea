import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Vma } from '../vm/vma.js';

/** mprotect of huge entries. @kernel hugetlb_change_protection */
export function changeHugetlbProtection(
  _kernel: Kernel,
  _vma: Vma,
  start: number,
  _end: number,
  _newFlags: number,
): void {
  fail(`hugetlb mprotect at page ${start} is not written yet`);
}
