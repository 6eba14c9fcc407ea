import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { AddressSpace } from '../vm/address_space.js';

/** Drops [start, end) of a hugetlb file. @kernel remove_inode_hugepages */
export function* truncateHugetlb(
  _kernel: Kernel,
  mapping: AddressSpace,
  _start: number,
  _end: number,
  _isTruncate: boolean,
): Op<void> {
  fail(`truncation of hugetlb file ${mapping.id} is not written yet`);
}
