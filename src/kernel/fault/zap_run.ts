import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { LruLists } from '../phys/lru.js';
import { MAPPING_ANON, MAPPING_TAG_MASK } from '../phys/memory.js';
import {
  PG_ANON_EXCLUSIVE,
  PG_FREE,
  PG_HEAD,
  PG_LRU,
  PG_TAIL,
  PG_UNEVICTABLE,
} from '../phys/page_flags.js';
import { fillFlags } from '../pgtable/entry_run.js';
import { PTE_PRESENT, PTE_SPECIAL, PTE_UFFD_WP } from '../pgtable/pte.js';
import type { Tracer } from '../tracer.js';
import { MM_ANONPAGES, type Mm } from '../vm/mm.js';

/**
 * Zaps small anonymous folios of a VMA that is not locked, from the entry `from` of page `vpn` on:
 * the common case in line, in short loops that the compiler can keep in registers. Entries and
 * counters are written once for the run. Returns the number of entries done; the next one is of
 * another kind.
 */
export function zapAnonRun(kernel: Kernel, mm: Mm, vpn: number, from: number, to: number): number {
  const unmapped = unmapRun(kernel, from, to);
  if (unmapped === 0) return 0;
  const count = Math.abs(unmapped);
  if (kernel.tracer?.pageZapped !== undefined)
    traceRun(kernel, kernel.tracer, mm, vpn, from, count);
  if (unmapped < 0) freeRun(kernel, from, count);
  fillFlags(kernel.pageTables.flags, 0, from, count);
  mm.rss[MM_ANONPAGES] -= count;
  return count;
}

/**
 * Takes a mapping and its reference from each folio, four at a time while they can be, in half the
 * time of one by one. Returns how many there are, negative if nobody refers to some of them any
 * more.
 */
function unmapRun(kernel: Kernel, from: number, to: number): number {
  const { payload, flags } = kernel.pageTables;
  const { refcount, mapcount, mapping, flags: pageFlags } = kernel.memory;
  let entry = from;
  let unmapped = 0;
  let idle = 0;
  for (; entry + 3 < to; entry += 4) {
    const pte0 = flags[entry];
    const pte1 = flags[entry + 1];
    const pte2 = flags[entry + 2];
    const pte3 = flags[entry + 3];
    if (((pte0 | pte1 | pte2 | pte3) & (PTE_SPECIAL | PTE_UFFD_WP)) !== 0) break;
    if ((pte0 & pte1 & pte2 & pte3 & PTE_PRESENT) === 0) break;
    const pfn0 = payload[entry];
    const pfn1 = payload[entry + 1];
    const pfn2 = payload[entry + 2];
    const pfn3 = payload[entry + 3];
    const page0 = pageFlags[pfn0];
    const page1 = pageFlags[pfn1];
    const page2 = pageFlags[pfn2];
    const page3 = pageFlags[pfn3];
    if (((page0 | page1 | page2 | page3) & (PG_HEAD | PG_TAIL | PG_UNEVICTABLE)) !== 0) break;
    if ((page0 & page1 & page2 & page3 & PG_ANON_EXCLUSIVE) === 0) {
      const different =
        (mapping[pfn0] ^ MAPPING_ANON) |
        (mapping[pfn1] ^ MAPPING_ANON) |
        (mapping[pfn2] ^ MAPPING_ANON) |
        (mapping[pfn3] ^ MAPPING_ANON);
      if ((different & MAPPING_TAG_MASK) !== 0) break;
    }
    if ((mapcount[pfn0] -= 1) === 0) unmapped += 1;
    if ((mapcount[pfn1] -= 1) === 0) unmapped += 1;
    if ((mapcount[pfn2] -= 1) === 0) unmapped += 1;
    if ((mapcount[pfn3] -= 1) === 0) unmapped += 1;
    if ((refcount[pfn0] -= 1) === 0) idle += 1;
    if ((refcount[pfn1] -= 1) === 0) idle += 1;
    if ((refcount[pfn2] -= 1) === 0) idle += 1;
    if ((refcount[pfn3] -= 1) === 0) idle += 1;
  }
  for (; entry < to; entry += 1) {
    if ((flags[entry] & (PTE_PRESENT | PTE_SPECIAL | PTE_UFFD_WP)) !== PTE_PRESENT) break;
    const pfn = payload[entry];
    const page = pageFlags[pfn];
    if ((page & (PG_HEAD | PG_TAIL | PG_UNEVICTABLE)) !== 0) break;
    // Only anonymous pages are exclusive: then the mapping need not be looked at.
    if ((page & PG_ANON_EXCLUSIVE) === 0 && (mapping[pfn] & MAPPING_TAG_MASK) !== MAPPING_ANON) {
      break;
    }
    const maps = mapcount[pfn] - 1;
    mapcount[pfn] = maps;
    if (maps === 0) unmapped += 1;
    const references = refcount[pfn] - 1;
    refcount[pfn] = references;
    if (references === 0) idle += 1;
  }
  kernel.stats.anonMapped -= unmapped;
  return idle === 0 ? entry - from : from - entry;
}

function traceRun(
  kernel: Kernel,
  tracer: Tracer,
  mm: Mm,
  vpn: number,
  from: number,
  count: number,
): void {
  const { payload } = kernel.pageTables;
  for (let i = 0; i < count; i += 1) {
    const pfn = payload[from + i];
    tracer.pageZapped?.(mm, vpn + i, pfn, kernel.memory.mapcount[pfn] + 1);
  }
}

/**
 * Frees those of the folios that nobody refers to any more. Neighbours that came onto the LRU list
 * one after the other leave it together, four at a time: as they go onto the free stack, each keeps
 * the link to the one before.
 */
function freeRun(kernel: Kernel, from: number, count: number): void {
  const { memory, lru } = kernel;
  const { payload } = kernel.pageTables;
  const { refcount, next, previous, flags: pageFlags } = memory;
  const { head, tail } = lru;
  let freed = 0;
  let freeTop = memory.freeStackTop;
  let list = 0;
  let unlinked = 0;
  const end = from + count;
  for (let entry = from; entry < end; entry += 1) {
    const pfn = payload[entry];
    if (refcount[pfn] !== 0) continue;
    const page = pageFlags[pfn];
    let newest = pfn;
    let members = 1;
    // The rest of the row is reset when the page is taken again.
    if ((page & PG_LRU) !== 0) {
      if (entry + 3 < end && previous[pfn] === payload[entry + 1]) {
        const pfn1 = payload[entry + 1];
        const pfn2 = payload[entry + 2];
        const pfn3 = payload[entry + 3];
        const isLinked = ((previous[pfn1] ^ pfn2) | (previous[pfn2] ^ pfn3)) === 0;
        if (isLinked && (refcount[pfn1] | refcount[pfn2] | refcount[pfn3]) === 0) {
          pageFlags[pfn1] = PG_FREE;
          pageFlags[pfn2] = PG_FREE;
          pageFlags[pfn3] = PG_FREE;
          newest = pfn3;
          members = 4;
        }
      }
      const own = LruLists.listOf(page);
      if (own !== list) {
        lru.length[list] -= unlinked;
        list = own;
        unlinked = 0;
      }
      unlinked += members;
      const after = next[pfn];
      const before = previous[newest];
      if (after === NIL) tail[own] = before;
      else previous[after] = before;
      if (before === NIL) head[own] = after;
      else next[before] = after;
    }
    pageFlags[pfn] = PG_FREE;
    next[pfn] = freeTop;
    freeTop = newest;
    freed += members;
    entry += members - 1;
  }
  lru.length[list] -= unlinked;
  memory.pushFreeRun(freeTop, freed);
}
