import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { folioAlloc, folioPageCount, folioPut, setFileMapping } from '../phys/folio.js';
import { PG_DIRTY, PG_PRIVATE, PG_SWAPBACKED } from '../phys/page_flags.js';
import { noteFileRefault } from '../reclaim/workingset.js';
import { AddressSpace, isShmem, type FileKind } from '../vm/address_space.js';
import type { FileId } from '../operation.js';

/** A new inode with an empty page cache. */
export function createMapping(
  kernel: Kernel,
  kind: FileKind,
  name: FileId | undefined,
  sizePages: number,
): AddressSpace {
  const mapping = new AddressSpace(kernel.mappings.length, kind, name, sizePages);
  kernel.mappings.push(mapping);
  return mapping;
}

/** The cached page of a file page, or NIL. @kernel filemap_get_folio */
export function findCachedPage(mapping: AddressSpace, index: number): number {
  return mapping.pages.get(index) ?? NIL;
}

/**
 * Puts a new folio of 2^order pages into the cache at an aligned index. Contents start as zero for
 * shmem and as the disk's for other files. One that reclaim took from the cache is active if it
 * comes back soon. Returns the head pfn or NIL. @kernel filemap_add_folio
 */
export function addNewCacheFolio(
  kernel: Kernel,
  mapping: AddressSpace,
  index: number,
  order: number,
  memcg: number,
): number {
  const head = folioAlloc(kernel, order, memcg);
  if (head === NIL) return NIL;
  const { memory } = kernel;
  const pages = 2 ** order;
  // The allocation's own reference becomes the first of the cache's.
  memory.refcount[head] += pages - 1;
  if (isShmem(mapping)) memory.flags[head] |= PG_SWAPBACKED;
  setFileMapping(kernel, head, mapping, index);
  noteFileRefault(kernel, mapping, head, index);
  for (let i = 0; i < pages; i += 1) {
    mapping.pages.set(index + i, head + i);
    const onDisk = mapping.disk.get(index + i);
    if (onDisk !== undefined) memory.content[head + i] = onDisk;
  }
  kernel.lru.add(head);
  return head;
}

/**
 * Takes a whole folio out of the cache and drops the cache's references. All mappings are gone.
 * @kernel filemap_remove_folio
 */
export function removeCacheFolio(kernel: Kernel, mapping: AddressSpace, head: number): void {
  const { memory } = kernel;
  const pages = folioPageCount(kernel, head);
  const index = memory.index[head];
  for (let i = 0; i < pages; i += 1) {
    mapping.pages.delete(index + i);
    mapping.readIn.delete(index + i);
  }
  let references = pages;
  if ((memory.flags[head] & PG_PRIVATE) !== 0) references += 1;
  memory.flags[head] &= ~(PG_PRIVATE | PG_DIRTY);
  memory.mapping[head] = 0;
  folioPut(kernel, head, references);
}

/** File systems with buffers attach them to a page that becomes dirty: one more reference. */
export function attachBuffers(kernel: Kernel, mapping: AddressSpace, head: number): void {
  const { memory } = kernel;
  if (mapping.kind !== 'tmp' || (memory.flags[head] & PG_PRIVATE) !== 0) return;
  memory.flags[head] |= PG_PRIVATE;
  memory.refcount[head] += 1;
}
