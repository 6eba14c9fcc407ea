import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import { PG_HEAD } from '../phys/page_flags.js';
import type { AddressSpace } from '../vm/address_space.js';

/** Splits a large page-cache folio towards file page `index` (spec 98 §4.4). @kernel folio_split */
export function splitShmemFolioAt(
  kernel: Kernel,
  _mapping: AddressSpace,
  head: number,
  index: number,
): void {
  if ((kernel.memory.flags[head] & PG_HEAD) === 0) return;
  fail(`split of file folio ${head} at file page ${index} is not written yet`);
}
