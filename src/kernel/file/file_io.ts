import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioMarkAccessed } from '../phys/mark_accessed.js';
import { PG_DIRTY, PG_REFERENCED } from '../phys/page_flags.js';
import type { AddressSpace } from '../vm/address_space.js';
import { addCachePage } from './alloc_cache.js';
import { addNewCacheFolio, attachBuffers, findCachedPage } from './page_cache.js';
import { shmemGetPage } from './shmem.js';
import { syncFile } from './sync.js';

/** What one page of a file read gave: its word, or undefined beyond the end of the file. */
export type FileReadValue = number | undefined;

/**
 * write(2) of `count` whole pages, page by page, whose first word is `value`; grows the file. A
 * disk file is synced at the end, which cleans all its pages and write-protects their mappings
 * (spec 97 §8, §10). Returns false when memory is short.
 */
export function* writeFile(
  kernel: Kernel,
  mapping: AddressSpace,
  index: number,
  count: number,
  value: number,
  memcg: number,
): Op<boolean> {
  const { memory } = kernel;
  const isTmp = mapping.kind === 'tmp';
  for (let page = index; page < index + count; page += 1) {
    // One call a page: what is allocated for it sees the size so far.
    mapping.sizePages = Math.max(mapping.sizePages, page + 1);
    const cached = findCachedPage(mapping, page);
    const pfn = isTmp
      ? cached === NIL
        ? yield* addCachePage(kernel, mapping, page, 0)
        : cached
      : yield* shmemGetPage(kernel, mapping, page, undefined, memcg);
    if (pfn === NIL) return false;
    const head = memory.folioOf(pfn);
    memory.content[pfn] = value;
    memory.flags[head] |= PG_DIRTY;
    if (isTmp) {
      attachBuffers(kernel, mapping, head);
      mapping.readIn.delete(page);
    } else if (cached === NIL) {
      memory.flags[head] |= PG_REFERENCED;
    } else {
      folioMarkAccessed(kernel, head);
    }
  }
  if (isTmp) yield* syncFile(kernel, mapping);
  return true;
}

/**
 * read(2) of whole pages. A hole of shmem reads as zero and stays a hole; an uncached page of a
 * disk file is brought in, unseen by fault-around.
 */
export function readFile(
  kernel: Kernel,
  mapping: AddressSpace,
  index: number,
  count: number,
): FileReadValue[] {
  const values: FileReadValue[] = [];
  const isTmp = mapping.kind === 'tmp';
  for (let page = index; page < index + count; page += 1) {
    if (page >= mapping.sizePages) {
      values.push(undefined);
      continue;
    }
    const cached = findCachedPage(mapping, page);
    let pfn = cached;
    if (cached === NIL && isTmp) {
      pfn = addNewCacheFolio(kernel, mapping, page, 0, 0);
      if (pfn !== NIL) mapping.readIn.add(page);
    }
    values.push(pfn === NIL ? 0 : kernel.memory.content[pfn]);
    const isRepeat = isTmp && mapping.lastReadPage === page;
    if (cached !== NIL && !isRepeat) folioMarkAccessed(kernel, kernel.memory.folioOf(pfn));
    if (isTmp) mapping.lastReadPage = page;
  }
  return values;
}
