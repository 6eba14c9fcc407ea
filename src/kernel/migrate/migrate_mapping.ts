import { fail } from '../../base/errors.js';
import { EAGAIN } from '../errno.js';
import type { Kernel } from '../kernel.js';
import {
  folioExpectedRefCount,
  folioMapping,
  folioOrder,
  folioPageCount,
  isAnonFolio,
} from '../phys/folio.js';
import {
  PG_ACTIVE,
  PG_DIRTY,
  PG_HEAD,
  PG_HUGETLB,
  PG_IDLE,
  PG_PRIVATE,
  PG_REFERENCED,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  PG_UPTODATE,
  PG_WORKINGSET,
  PG_YOUNG,
} from '../phys/page_flags.js';
import { swapOffset } from '../pgtable/pte.js';
import { countAnonFolio, folioUnqueueDeferredSplit } from '../thp/deferred.js';

/** Flags that go along; the LRU and mlock state is built anew. @kernel folio_migrate_flags */
const MOVED_FLAGS =
  PG_REFERENCED |
  PG_UPTODATE |
  PG_DIRTY |
  PG_ACTIVE |
  PG_SWAPBACKED |
  PG_WORKINGSET |
  PG_IDLE |
  PG_YOUNG;

/**
 * Makes `target` take the place of the unmapped folio `source` in its page cache, swap cache or
 * anon_vma, with contents and flags. Returns 0, or -EAGAIN with nothing changed if anybody but the
 * caches and the caller (one reference) holds the source. @kernel migrate_folio
 */
export function moveFolioState(kernel: Kernel, source: number, target: number): number {
  const { memory } = kernel;
  // Frozen in Linux while this goes on, so that nobody can take a reference.
  if (memory.refcount[source] !== folioExpectedRefCount(kernel, source) + 1) return -EAGAIN;
  const { flags, mapping, index, content, refcount } = memory;
  const pages = folioPageCount(kernel, source);
  const isAnon = isAnonFolio(kernel, source);
  if ((flags[source] & (PG_HEAD | PG_HUGETLB)) === PG_HEAD && isAnon) {
    folioUnqueueDeferredSplit(kernel, source);
    countAnonFolio(kernel, folioOrder(kernel, source), 1);
  }
  mapping[target] = mapping[source];
  index[target] = index[source];
  memory.memcg[target] = memory.memcg[source];
  for (let i = 0; i < pages; i += 1) content[target + i] = content[source + i];
  flags[target] |= flags[source] & MOVED_FLAGS;
  if ((flags[source] & PG_SWAPCACHE) !== 0) moveInSwapCache(kernel, source, target, pages);
  const cache = isAnon ? undefined : folioMapping(kernel, source);
  if (cache !== undefined) {
    for (let i = 0; i < pages; i += 1) {
      if (cache.pages.get(index[source] + i) !== source + i) {
        fail(`page ${source + i} is not where its cache has it`);
      }
      cache.pages.set(index[source] + i, target + i);
    }
    moveReferences(refcount, source, target, pages);
    if ((flags[source] & PG_PRIVATE) !== 0) {
      flags[target] |= PG_PRIVATE;
      moveReferences(refcount, source, target, 1);
    }
  }
  migrateKsm(kernel, source, target);
  // An anonymous folio stays one until it is freed: a fork or munmap that meets a migration entry
  // meanwhile must count it as what it is.
  if (!isAnon) mapping[source] = 0;
  flags[source] &= ~(PG_SWAPCACHE | PG_PRIVATE | PG_DIRTY);
  return 0;
}

function moveReferences(refcount: Int32Array, source: number, target: number, count: number): void {
  refcount[source] -= count;
  refcount[target] += count;
}

function moveInSwapCache(kernel: Kernel, source: number, target: number, pages: number): void {
  const { swap, memory } = kernel;
  const entry = swap.folioSlots.get(source);
  const device = swap.deviceOf(entry);
  const slot = swapOffset(entry);
  for (let i = 0; i < pages; i += 1) device.cachedPage[slot + i] = target + i + 1;
  swap.folioSlots.delete(source);
  swap.folioSlots.add(target, entry);
  if (swap.readahead.unused.delete(source)) swap.readahead.unused.add(target);
  memory.flags[target] |= PG_SWAPCACHE;
  moveReferences(memory.refcount, source, target, pages);
}

/** The stable node of a merged page follows it. @kernel folio_migrate_ksm */
function migrateKsm(kernel: Kernel, source: number, target: number): void {
  const node = kernel.ksm.nodeOf(source);
  if (node !== undefined) node.pfn = target;
}
