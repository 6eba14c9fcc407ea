import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Vma } from '../vm/vma.js';

/** Removes the huge entries of [start, end). @kernel unmap_hugepage_range */
export function zapHugetlbRange(_kernel: Kernel, _vma: Vma, start: number, _end: number): void {
  fail(`hugetlb zap at page ${start} is not written yet`);
}
