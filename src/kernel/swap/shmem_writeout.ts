import type { Kernel } from '../kernel.js';
import { folioOrder, folioPageCount, folioPut } from '../phys/folio.js';
import type { AddressSpace } from '../vm/address_space.js';
import { folioAllocSwap, folioSwapEntry, swapDuplicate } from './swap_cache.js';

/**
 * Moves an unmapped folio of a shmem file from the page cache to the swap cache; the file's pages
 * are swap entries from now on. False if there are no slots. @kernel shmem_writeout
 */
export function shmemWriteout(kernel: Kernel, mapping: AddressSpace, head: number): boolean {
  if (!folioAllocSwap(kernel, head, folioOrder(kernel, head))) return false;
  const { memory } = kernel;
  const pages = folioPageCount(kernel, head);
  const entry = folioSwapEntry(kernel, head);
  const first = memory.index[head];
  for (let i = 0; i < pages; i += 1) {
    mapping.pages.delete(first + i);
    mapping.swapped.set(first + i, entry + i);
    swapDuplicate(kernel, entry + i);
  }
  memory.mapping[head] = 0;
  folioPut(kernel, head, pages);
  return true;
}
