import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Vma } from '../vm/vma.js';

/** @kernel copy_huge_pmd */
export function copyHugePmd(
  _kernel: Kernel,
  _child: Vma,
  _parent: Vma,
  _pmd: number,
  vpn: number,
): number {
  fail(`fork of a huge PMD at page ${vpn} is not written yet`);
}
