import type { Kernel } from '../kernel.js';
import { MAPPING_ANON } from '../phys/memory.js';
import { PG_ANON_EXCLUSIVE, PG_HEAD, PG_TAIL } from '../phys/page_flags.js';
import { copyWords, fillFlags, flagsAlike } from '../pgtable/entry_run.js';
import { PTE_PRESENT, PTE_SPECIAL } from '../pgtable/pte.js';

/**
 * Shares small anonymous folios from the entry `from` on, the common case in line: each loses its
 * exclusive mark. Returns the number of entries done; the next one is of another kind, or pinned.
 */
export function shareAnonRun(
  kernel: Kernel,
  from: number,
  to: number,
  most: number,
  parentKeeps: number,
  childKeeps: number,
  pinnedReferences: number,
): number {
  const { pageTables } = kernel;
  const { flags } = pageTables;
  let done = 0;
  while (done < most) {
    const pte = flags[from + done];
    if ((pte & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) break;
    // Neighbours mostly have the same flags: then the entries are written together.
    const alike = flagsAlike(flags, from + done, from + most, pte);
    const length = shareFolios(kernel, from + done, from + done + alike, pinnedReferences);
    if (length === 0) break;
    copyWords(pageTables.payload, from + done, to + done, length);
    if ((pte & parentKeeps) !== pte) fillFlags(flags, pte & parentKeeps, from + done, length);
    fillFlags(flags, pte & childKeeps, to + done, length);
    done += length;
  }
  return done;
}

/**
 * The folios below the entries [from, to). An exclusive one with that many references may be pinned:
 * it is not shared. Exclusive folios, which are mapped once, go four at a time: half the time of one
 * by one. Returns how many were shared.
 */
function shareFolios(kernel: Kernel, from: number, to: number, pinnedReferences: number): number {
  const { payload } = kernel.pageTables;
  const { refcount, mapcount, mapping, flags: pageFlags } = kernel.memory;
  let entry = from;
  for (; entry + 3 < to; entry += 4) {
    const pfn0 = payload[entry];
    const pfn1 = payload[entry + 1];
    const pfn2 = payload[entry + 2];
    const pfn3 = payload[entry + 3];
    const page0 = pageFlags[pfn0];
    const page1 = pageFlags[pfn1];
    const page2 = pageFlags[pfn2];
    const page3 = pageFlags[pfn3];
    if (((page0 | page1 | page2 | page3) & (PG_HEAD | PG_TAIL)) !== 0) break;
    if ((page0 & page1 & page2 & page3 & PG_ANON_EXCLUSIVE) === 0) break;
    const references0 = refcount[pfn0];
    const references1 = refcount[pfn1];
    const references2 = refcount[pfn2];
    const references3 = refcount[pfn3];
    // At least as many as the page with the most has.
    if ((references0 | references1 | references2 | references3) >= pinnedReferences) break;
    pageFlags[pfn0] = page0 & ~PG_ANON_EXCLUSIVE;
    pageFlags[pfn1] = page1 & ~PG_ANON_EXCLUSIVE;
    pageFlags[pfn2] = page2 & ~PG_ANON_EXCLUSIVE;
    pageFlags[pfn3] = page3 & ~PG_ANON_EXCLUSIVE;
    mapcount[pfn0] += 1;
    mapcount[pfn1] += 1;
    mapcount[pfn2] += 1;
    mapcount[pfn3] += 1;
    refcount[pfn0] = references0 + 1;
    refcount[pfn1] = references1 + 1;
    refcount[pfn2] = references2 + 1;
    refcount[pfn3] = references3 + 1;
  }
  for (; entry < to; entry += 1) {
    const pfn = payload[entry];
    const page = pageFlags[pfn];
    if ((page & (PG_HEAD | PG_TAIL)) !== 0) break;
    const references = refcount[pfn];
    if ((page & PG_ANON_EXCLUSIVE) !== 0) {
      if (references >= pinnedReferences) break;
      pageFlags[pfn] = page & ~PG_ANON_EXCLUSIVE;
    } else if ((mapping[pfn] & MAPPING_ANON) === 0) {
      break;
    }
    mapcount[pfn] += 1;
    refcount[pfn] = references + 1;
  }
  return entry - from;
}
