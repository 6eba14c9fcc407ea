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

/** Pages that the first read of one page at the start of a file brings in. */
const FIRST_WINDOW_PAGES = 4;

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
    // What is written anew was not needed for what it held.
    mapping.evicted.delete(page);
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
 * read(2) of the first word of each page. A hole of shmem reads as zero and stays a hole; uncached
 * pages of a disk file are read in. Reading a page touches its folio: of shmem only at the folio's
 * start, of a disk file unless the same page was read last.
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
    if (isTmp) readDiskPage(kernel, mapping, page);
    const pfn = findCachedPage(mapping, page);
    values.push(pfn === NIL ? 0 : kernel.memory.content[pfn]);
    const isTouch = isTmp ? mapping.lastReadPage !== page : kernel.memory.folioOf(pfn) === pfn;
    if (pfn !== NIL && isTouch) folioMarkAccessed(kernel, kernel.memory.folioOf(pfn));
    mapping.lastReadPage = page;
  }
  return values;
}

/**
 * Brings a page of a disk file in: at the start of the file the first window, elsewhere only itself.
 * The page where reading ahead would go on carries a mark, which hides it from fault-around until it
 * is read.
 */
function readDiskPage(kernel: Kernel, mapping: AddressSpace, page: number): void {
  if (findCachedPage(mapping, page) !== NIL) {
    mapping.readIn.delete(page);
    return;
  }
  const end = page === 0 ? Math.min(mapping.sizePages, FIRST_WINDOW_PAGES) : page + 1;
  for (let next = page; next < end; next += 1) {
    if (findCachedPage(mapping, next) !== NIL) continue;
    const isMarked = page === 0 && next === 1;
    if (addNewCacheFolio(kernel, mapping, next, 0, 0) !== NIL && isMarked) mapping.readIn.add(next);
  }
}
