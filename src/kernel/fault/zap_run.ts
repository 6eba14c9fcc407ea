import type { Kernel } from '../kernel.js';
import { MAPPING_ANON, MAPPING_TAG_MASK } from '../phys/memory.js';
import { PG_ANON_EXCLUSIVE, PG_HEAD, PG_LRU, PG_TAIL, PG_UNEVICTABLE } from '../phys/page_flags.js';
import { fillFlags } from '../pgtable/entry_run.js';
import { PTE_PRESENT, PTE_SPECIAL, PTE_UFFD_WP } from '../pgtable/pte.js';
import type { Tracer } from '../tracer.js';
import { MM_ANONPAGES, type Mm } from '../vm/mm.js';
import { areFourAnonymous, freeSoleRun, mapFourFolios } from './zap_sole_run.js';

/**
 * Zaps small anonymous folios of a VMA that is not locked, from the entry `from` of page `vpn` on:
 * the common case in line, in short loops that the compiler can keep in registers. Entries and
 * counters are written once for the run. Returns the number of entries done; the next one is of
 * another kind.
 */
export function zapAnonRun(kernel: Kernel, mm: Mm, vpn: number, from: number, to: number): number {
  const isTraced = kernel.tracer?.pageZapped !== undefined;
  const sole = isTraced ? 0 : freeSoleRun(kernel, from, to);
  // Behind such a run the next folios are mostly of that kind too.
  const end = sole === 0 ? to : Math.min(from + sole + 4, to);
  const unmapped = unmapRun(kernel, from + sole, end);
  const others = Math.abs(unmapped);
  const count = sole + others;
  if (count === 0) return 0;
  if (isTraced) traceRun(kernel, kernel.tracer, mm, vpn, from, count);
  if (unmapped < 0) freeRun(kernel, from + sole, others);
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
    if (!mapFourFolios(flags, entry)) break;
    const pfn0 = payload[entry];
    const pfn1 = payload[entry + 1];
    const pfn2 = payload[entry + 2];
    const pfn3 = payload[entry + 3];
    const page0 = pageFlags[pfn0];
    const page1 = pageFlags[pfn1];
    const page2 = pageFlags[pfn2];
    const page3 = pageFlags[pfn3];
    if (((page0 | page1 | page2 | page3) & (PG_HEAD | PG_TAIL | PG_UNEVICTABLE)) !== 0) break;
    const areExclusive = (page0 & page1 & page2 & page3 & PG_ANON_EXCLUSIVE) !== 0;
    if (!areExclusive && !areFourAnonymous(mapping, pfn0, pfn1, pfn2, pfn3)) break;
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
  tracer: Tracer | undefined,
  mm: Mm,
  vpn: number,
  from: number,
  count: number,
): void {
  const { payload } = kernel.pageTables;
  for (let i = 0; i < count; i += 1) {
    const pfn = payload[from + i];
    tracer?.pageZapped?.(mm, vpn + i, pfn, kernel.memory.mapcount[pfn] + 1);
  }
}

/** Frees those of the folios that nobody refers to any more. */
function freeRun(kernel: Kernel, from: number, count: number): void {
  const { payload } = kernel.pageTables;
  const { refcount, flags: pageFlags } = kernel.memory;
  for (let entry = from; entry < from + count; entry += 1) {
    const pfn = payload[entry];
    if (refcount[pfn] !== 0) continue;
    // The rest of the row is reset when the page is taken again.
    if ((pageFlags[pfn] & PG_LRU) !== 0) kernel.lru.unlink(pfn, pageFlags[pfn]);
    kernel.memory.freePage(pfn);
  }
}
