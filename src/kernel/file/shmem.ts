import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { shmemSwapIn } from '../swap/shmem_swap.js';
import { shmemFolioOrder } from '../thp/shmem_order.js';
import type { AddressSpace } from '../vm/address_space.js';
import type { Vma } from '../vm/vma.js';
import { addCachePage } from './alloc_cache.js';
import { addNewCacheFolio, findCachedPage } from './page_cache.js';

/**
 * The cached page of a shmem file page, read from swap or allocated if it is a hole; NIL when
 * memory is short. `vma` is the mapping that faults, or undefined for file operations.
 * @kernel shmem_get_folio
 */
export function* shmemGetPage(
  kernel: Kernel,
  mapping: AddressSpace,
  index: number,
  vma: Vma | undefined,
  memcg: number,
): Op<number> {
  const cached = findCachedPage(mapping, index);
  if (cached !== NIL) return cached;
  if (mapping.swapped.has(index)) return yield* shmemSwapIn(kernel, mapping, index, memcg);
  let order = shmemFolioOrder(kernel, mapping, index, vma);
  for (; order > 0; order -= 1) {
    const first = index - (index % 2 ** order);
    const head = addNewCacheFolio(kernel, mapping, first, order, memcg);
    if (head !== NIL) return head + (index - first);
  }
  return yield* addCachePage(kernel, mapping, index, memcg);
}
