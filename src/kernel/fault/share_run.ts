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
    const alike = flagsAlike(pageTables, from + done, from + most, pte);
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
 * The folios below the entries [from, to), by fours of one kind where there are such, in a third of
 * the time of one by one. Returns how many were shared.
 */
function shareFolios(kernel: Kernel, from: number, to: number, pinnedReferences: number): number {
  let entry = from;
  for (;;) {
    entry = shareExclusiveFours(kernel, entry, to);
    entry = shareAgainFours(kernel, entry, to);
    const end = Math.min(entry + 4, to);
    entry = shareSingly(kernel, entry, end, pinnedReferences);
    if (entry < end || entry === to) return entry - from;
  }
}

/**
 * Exclusive folios to which nobody but their entry refers: they are mapped once and not pinned.
 * Returns the first entry of another four.
 */
function shareExclusiveFours(kernel: Kernel, from: number, to: number): number {
  const { payload } = kernel.pageTables;
  const { refcount, mapcount, flags } = kernel.memory;
  let entry = from;
  for (; entry + 3 < to; entry += 4) {
    const pfn0 = payload[entry];
    const pfn1 = payload[entry + 1];
    const pfn2 = payload[entry + 2];
    const pfn3 = payload[entry + 3];
    const page0 = flags[pfn0];
    const page1 = flags[pfn1];
    const page2 = flags[pfn2];
    const page3 = flags[pfn3];
    if (((page0 | page1 | page2 | page3) & (PG_HEAD | PG_TAIL)) !== 0) break;
    if ((page0 & page1 & page2 & page3 & PG_ANON_EXCLUSIVE) === 0) break;
    if ((refcount[pfn0] | refcount[pfn1] | refcount[pfn2] | refcount[pfn3]) !== 1) break;
    flags[pfn0] = page0 & ~PG_ANON_EXCLUSIVE;
    flags[pfn1] = page1 & ~PG_ANON_EXCLUSIVE;
    flags[pfn2] = page2 & ~PG_ANON_EXCLUSIVE;
    flags[pfn3] = page3 & ~PG_ANON_EXCLUSIVE;
    mapcount[pfn0] = 2;
    mapcount[pfn1] = 2;
    mapcount[pfn2] = 2;
    mapcount[pfn3] = 2;
    refcount[pfn0] = 2;
    refcount[pfn1] = 2;
    refcount[pfn2] = 2;
    refcount[pfn3] = 2;
  }
  return entry;
}

/** Folios that a fork shared before. Returns the first entry of another four. */
function shareAgainFours(kernel: Kernel, from: number, to: number): number {
  const { payload } = kernel.pageTables;
  const { refcount, mapcount, mapping, flags } = kernel.memory;
  let entry = from;
  for (; entry + 3 < to; entry += 4) {
    const pfn0 = payload[entry];
    const pfn1 = payload[entry + 1];
    const pfn2 = payload[entry + 2];
    const pfn3 = payload[entry + 3];
    const pages = flags[pfn0] | flags[pfn1] | flags[pfn2] | flags[pfn3];
    if ((pages & (PG_HEAD | PG_TAIL | PG_ANON_EXCLUSIVE)) !== 0) break;
    const mappings = mapping[pfn0] & mapping[pfn1] & mapping[pfn2] & mapping[pfn3];
    if ((mappings & MAPPING_ANON) === 0) break;
    mapcount[pfn0] += 1;
    mapcount[pfn1] += 1;
    mapcount[pfn2] += 1;
    mapcount[pfn3] += 1;
    refcount[pfn0] += 1;
    refcount[pfn1] += 1;
    refcount[pfn2] += 1;
    refcount[pfn3] += 1;
  }
  return entry;
}

/**
 * Any small folios. An exclusive one with so many references may be pinned: it is not shared.
 * Returns the first entry that is not done.
 */
function shareSingly(kernel: Kernel, from: number, to: number, pinnedReferences: number): number {
  const { payload } = kernel.pageTables;
  const { refcount, mapcount, mapping, flags } = kernel.memory;
  let entry = from;
  for (; entry < to; entry += 1) {
    const pfn = payload[entry];
    const page = flags[pfn];
    if ((page & (PG_HEAD | PG_TAIL)) !== 0) break;
    const references = refcount[pfn];
    if ((page & PG_ANON_EXCLUSIVE) !== 0) {
      if (references >= pinnedReferences) break;
      flags[pfn] = page & ~PG_ANON_EXCLUSIVE;
    } else if ((mapping[pfn] & MAPPING_ANON) === 0) {
      break;
    }
    mapcount[pfn] += 1;
    refcount[pfn] = references + 1;
  }
  return entry;
}
