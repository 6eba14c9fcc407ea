import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Vma } from '../vm/vma.js';

/** mremap of huge entries. @kernel move_hugetlb_page_tables */
export function moveHugetlbPageTables(
  _kernel: Kernel,
  _oldVma: Vma,
  oldStart: number,
  _newVma: Vma,
  _newStart: number,
  _lengthPages: number,
): void {
  fail(`hugetlb move at page ${oldStart} is not written yet`);
}
