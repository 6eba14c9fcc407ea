import { removeCacheFolio } from '../file/page_cache.js';
import type { Kernel } from '../kernel.js';
import { folioExpectedRefCount, folioOrder, folioPageCount } from '../phys/folio.js';
import { PG_WRITEBACK } from '../phys/page_flags.js';
import type { AddressSpace } from '../vm/address_space.js';
import { divideFolio } from './divide_folio.js';

/**
 * Splits a large shmem folio, unmapped already, where a hole or the end of the file cuts it: halves
 * it towards file page `index` until that page begins a folio of its own, so that as few pages as
 * possible become small (spec 98 §4.4). A folio with other references stays whole.
 * Returns whether it was split. @kernel folio_split @kernel try_folio_split
 */
export function splitShmemFolioAt(
  kernel: Kernel,
  mapping: AddressSpace,
  head: number,
  index: number,
): boolean {
  const { memory } = kernel;
  if (folioOrder(kernel, head) === 0) return false;
  if (memory.refcount[head] !== folioExpectedRefCount(kernel, head)) return false;
  if ((memory.flags[head] & PG_WRITEBACK) !== 0) return false;
  const wanted = head + (index - memory.index[head]);
  const folioPages = folioPageCount(kernel, head);
  let piece = head;
  for (let order = folioOrder(kernel, head); order > 0; order = folioOrder(kernel, piece)) {
    const pages = folioPageCount(kernel, piece);
    divideFolio(kernel, piece, order - 1);
    if (wanted >= piece + pages / 2) piece += pages / 2;
  }
  dropBehindEnd(kernel, mapping, head, folioPages);
  return true;
}

/**
 * After the split of a folio of `pages` pages: pieces behind the end of the file were zeros that
 * only the large folio held, and leave the cache.
 */
export function dropBehindEnd(
  kernel: Kernel,
  mapping: AddressSpace,
  head: number,
  pages: number,
): void {
  const { index } = kernel.memory;
  let size = 0;
  for (let piece = head; piece < head + pages; piece += size) {
    size = folioPageCount(kernel, piece);
    if (index[piece] >= mapping.sizePages) removeCacheFolio(kernel, mapping, piece);
  }
}
