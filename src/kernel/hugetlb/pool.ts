import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';

/** Sets the number of 2 MiB pages in the hugetlb pool. */
export function setHugetlbPool(_kernel: Kernel, pages: number): void {
  if (pages !== 0) fail('the hugetlb pool is empty');
}
