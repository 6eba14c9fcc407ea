import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { LruLists } from '../phys/lru.js';
import { MAPPING_ANON, MAPPING_TAG_MASK, type Memory } from '../phys/memory.js';
import {
  PG_ANON_EXCLUSIVE,
  PG_FREE,
  PG_HEAD,
  PG_LRU,
  PG_TAIL,
  PG_UNEVICTABLE,
} from '../phys/page_flags.js';
import { PTE_PRESENT, PTE_SPECIAL, PTE_UFFD_WP } from '../pgtable/pte.js';

/** Neighbours on one LRU list that are about to leave it together, the oldest first. */
interface Chain {
  oldest: number;
  newest: number;
  /** Flags of each of them. */
  pageFlags: number;
  length: number;
}

/**
 * Frees small anonymous folios to which nobody but their entry refers, by fours that came onto the
 * LRU list one after the other: their counts need no look, and each keeps its link to the one before
 * on the stack of free pages. The entries stay as they are. Returns the number of entries done.
 */
export function freeSoleRun(kernel: Kernel, from: number, to: number): number {
  const { memory } = kernel;
  const { payload, flags } = kernel.pageTables;
  const { refcount, mapcount, mapping, previous, flags: pageFlags } = memory;
  const chain: Chain = { oldest: NIL, newest: NIL, pageFlags: 0, length: 0 };
  let entry = from;
  let freeTop = memory.freeStackTop;
  for (; entry + 3 < to; entry += 4) {
    if (!mapFourFolios(flags, entry)) break;
    const pfn0 = payload[entry];
    const pfn1 = payload[entry + 1];
    const pfn2 = payload[entry + 2];
    const pfn3 = payload[entry + 3];
    const page = pageFlags[pfn0];
    if ((page & (PG_LRU | PG_HEAD | PG_TAIL | PG_UNEVICTABLE)) !== PG_LRU) break;
    if (((pageFlags[pfn1] ^ page) | (pageFlags[pfn2] ^ page) | (pageFlags[pfn3] ^ page)) !== 0) {
      break;
    }
    if ((refcount[pfn0] | refcount[pfn1] | refcount[pfn2] | refcount[pfn3]) !== 1) break;
    const unlinked = (previous[pfn0] ^ pfn1) | (previous[pfn1] ^ pfn2) | (previous[pfn2] ^ pfn3);
    if (unlinked !== 0) break;
    // Only anonymous pages are exclusive: then the mapping need not be looked at.
    const isExclusive = (page & PG_ANON_EXCLUSIVE) !== 0;
    if (!isExclusive && !areFourAnonymous(mapping, pfn0, pfn1, pfn2, pfn3)) break;
    if (chain.length > 0 && (chain.pageFlags !== page || previous[chain.newest] !== pfn0)) {
      freeTop = takeOff(kernel, memory, chain, freeTop);
    }
    if (chain.length === 0) {
      chain.oldest = pfn0;
      chain.pageFlags = page;
    }
    chain.newest = pfn3;
    chain.length += 4;
    refcount[pfn0] = 0;
    refcount[pfn1] = 0;
    refcount[pfn2] = 0;
    refcount[pfn3] = 0;
    mapcount[pfn0] = 0;
    mapcount[pfn1] = 0;
    mapcount[pfn2] = 0;
    mapcount[pfn3] = 0;
    pageFlags[pfn0] = PG_FREE;
    pageFlags[pfn1] = PG_FREE;
    pageFlags[pfn2] = PG_FREE;
    pageFlags[pfn3] = PG_FREE;
  }
  if (chain.length > 0) freeTop = takeOff(kernel, memory, chain, freeTop);
  const done = entry - from;
  kernel.stats.anonMapped -= done;
  memory.pushFreeRun(freeTop, done);
  return done;
}

/** Whether four entries from `entry` on all map a page that has a folio, without a mark. */
export function mapFourFolios(flags: Uint16Array, entry: number): boolean {
  const pte0 = flags[entry];
  const pte1 = flags[entry + 1];
  const pte2 = flags[entry + 2];
  const pte3 = flags[entry + 3];
  if (((pte0 | pte1 | pte2 | pte3) & (PTE_SPECIAL | PTE_UFFD_WP)) !== 0) return false;
  return (pte0 & pte1 & pte2 & pte3 & PTE_PRESENT) !== 0;
}

/** Whether four small folios all belong to an anon_vma. */
export function areFourAnonymous(
  mapping: Int32Array,
  pfn0: number,
  pfn1: number,
  pfn2: number,
  pfn3: number,
): boolean {
  const different =
    (mapping[pfn0] ^ MAPPING_ANON) |
    (mapping[pfn1] ^ MAPPING_ANON) |
    (mapping[pfn2] ^ MAPPING_ANON) |
    (mapping[pfn3] ^ MAPPING_ANON);
  return (different & MAPPING_TAG_MASK) === 0;
}

/** Takes the chain off its list and puts it onto the stack of free pages. Returns the new top. */
function takeOff(kernel: Kernel, memory: Memory, chain: Chain, freeTop: number): number {
  const { head, tail, length } = kernel.lru;
  const { next, previous } = memory;
  const list = LruLists.listOf(chain.pageFlags);
  const older = next[chain.oldest];
  const newer = previous[chain.newest];
  if (older === NIL) tail[list] = newer;
  else previous[older] = newer;
  if (newer === NIL) head[list] = older;
  else next[newer] = older;
  length[list] -= chain.length;
  next[chain.oldest] = freeTop;
  chain.length = 0;
  return chain.newest;
}
