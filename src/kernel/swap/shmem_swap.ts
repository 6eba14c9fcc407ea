import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { AddressSpace } from '../vm/address_space.js';

/** @kernel shmem_swapin_folio */
export function* shmemSwapIn(
  _kernel: Kernel,
  _mapping: AddressSpace,
  index: number,
  _memcg: number,
): Op<number> {
  fail(`file page ${index} is read from swap, which is not written yet`);
}

/** @kernel shmem_free_swap */
export function freeShmemSwapRange(
  _kernel: Kernel,
  mapping: AddressSpace,
  start: number,
  end: number,
): void {
  if (mapping.swapped.size === 0) return;
  fail(`file pages ${start} to ${end} are dropped from swap, which is not written yet`);
}
