import { fail } from '../../base/errors.js';
import { ENTRIES_PER_TABLE, PAGES_PER_PMD, tableStart } from '../../base/units.js';
import { presentFlags } from '../fault/pte_values.js';
import type { Kernel } from '../kernel.js';
import { folioPut } from '../phys/folio.js';
import { PG_ANON_EXCLUSIVE, PG_DIRTY, PG_REFERENCED, PG_SWAPBACKED } from '../phys/page_flags.js';
import { withdrawTable } from '../pgtable/deposit.js';
import {
  isMigration,
  KIND_MASK,
  KIND_MIGRATION_READ,
  KIND_MIGRATION_READ_EXCLUSIVE,
  KIND_MIGRATION_WRITE,
  PTE_DIRTY,
  PTE_LEAF,
  PTE_PRESENT,
  PTE_SOFT_DIRTY,
  PTE_SPECIAL,
  PTE_TABLE,
  PTE_UFFD_WP,
  PTE_WRITE,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import { folioAddAnonRmapPtes } from '../rmap/folio_rmap_add.js';
import { folioRemoveRmapPmd } from '../rmap/folio_rmap_remove.js';
import { folioTryShareAnonRmapPmd } from '../rmap/folio_rmap_share.js';
import { flushTlbRange } from '../rmap/tlb_model.js';
import { MM_FILEPAGES, MM_SHMEMPAGES } from '../vm/mm.js';
import { isAnonymous, type Vma } from '../vm/vma.js';

/** Bits of a present entry that a migration entry carries. */
export const MIGRATION_KEEPS = PTE_YOUNG | PTE_DIRTY | PTE_SOFT_DIRTY | PTE_UFFD_WP;

/**
 * Replaces a huge PMD entry (leaf or migration entry) by a table of 512 entries that say the same.
 * In a file VMA the mapping is dropped instead: faults bring it back. The page-table lock is held.
 *
 * @param vpn Any page of the block.
 * @param pmd Entry index of the leaf.
 * @param freeze Make migration entries (to split or migrate the folio). If the folio is exclusive
 *   and may be pinned this is impossible: present entries are made, and the caller finds them.
 * @kernel __split_huge_pmd_locked @kernel split_huge_pmd_locked
 */
export function splitHugePmdLocked(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  pmd: number,
  freeze: boolean,
): void {
  const { flags, payload } = kernel.pageTables;
  const pmdFlags = flags[pmd];
  if (pmdFlags === 0 || (pmdFlags & PTE_TABLE) !== 0) fail(`PMD of page ${vpn} is no huge entry`);
  const pfn = payload[pmd];
  const blockStart = tableStart(vpn);
  flushTlbRange(kernel, vma.mm, blockStart, blockStart + PAGES_PER_PMD);
  if (!isAnonymous(vma)) {
    dropFilePmd(kernel, vma, pmd, pfn, pmdFlags);
  } else if (pfn === kernel.memory.hugeZeroPfn && (pmdFlags & PTE_PRESENT) !== 0) {
    const zero = presentFlags(vma) | PTE_SPECIAL | (pmdFlags & PTE_UFFD_WP);
    fillTable(kernel, pmd, kernel.memory.zeroPfn, 0, zero);
  } else if ((pmdFlags & PTE_PRESENT) === 0) {
    if (!isMigration(pmdFlags)) fail(`PMD of page ${vpn} is no migration entry`);
    fillTable(kernel, pmd, pfn, 1, pmdFlags & ~PTE_LEAF);
  } else {
    splitAnonPmd(kernel, vma, blockStart, pmd, pfn, freeze);
  }
}

function splitAnonPmd(
  kernel: Kernel,
  vma: Vma,
  blockStart: number,
  pmd: number,
  head: number,
  freeze: boolean,
): void {
  const { memory } = kernel;
  const pmdFlags = kernel.pageTables.flags[pmd];
  if ((pmdFlags & PTE_DIRTY) !== 0) memory.flags[head] |= PG_DIRTY;
  const isExclusive = (memory.flags[head] & PG_ANON_EXCLUSIVE) !== 0;
  const isFrozen = freeze && !(isExclusive && folioTryShareAnonRmapPmd(kernel, head) !== 0);
  if (isFrozen) {
    fillTable(kernel, pmd, head, 1, migrationFlags(pmdFlags, isExclusive));
  } else {
    // The PMD's reference becomes that of one PTE. The PTEs are counted before the PMD is not.
    memory.refcount[head] += PAGES_PER_PMD - 1;
    folioAddAnonRmapPtes(kernel, head, head, PAGES_PER_PMD, vma, blockStart, isExclusive);
    fillTable(kernel, pmd, head, 1, pmdFlags & ~PTE_LEAF);
  }
  folioRemoveRmapPmd(kernel, head, vma);
  if (isFrozen) folioPut(kernel, head);
}

/** Flags of the migration entry that stands for a present anonymous entry (spec 40 §6). */
export function migrationFlags(presentEntry: number, isExclusive: boolean): number {
  let kind = KIND_MIGRATION_READ;
  if ((presentEntry & PTE_WRITE) !== 0) kind = KIND_MIGRATION_WRITE;
  else if (isExclusive) kind = KIND_MIGRATION_READ_EXCLUSIVE;
  return kind | (presentEntry & MIGRATION_KEEPS);
}

/** Puts the stored table, with 512 entries whose payload grows by `step`, in the leaf's place. */
function fillTable(
  kernel: Kernel,
  pmd: number,
  firstPfn: number,
  step: number,
  entryFlags: number,
): void {
  const node = withdrawTable(kernel, pmd);
  const { payload, flags } = kernel.pageTables;
  const from = node * ENTRIES_PER_TABLE;
  for (let i = 0; i < ENTRIES_PER_TABLE; i += 1) payload[from + i] = firstPfn + i * step;
  flags.fill(entryFlags, from, from + ENTRIES_PER_TABLE);
  payload[pmd] = node;
  flags[pmd] = PTE_TABLE;
}

function dropFilePmd(kernel: Kernel, vma: Vma, pmd: number, pfn: number, pmdFlags: number): void {
  const { memory } = kernel;
  const head = memory.folioOf(pfn);
  kernel.pageTables.flags[pmd] = 0;
  const isPresent = (pmdFlags & PTE_PRESENT) !== 0;
  if (!isPresent && (pmdFlags & KIND_MASK) === 0) fail(`file PMD with flags ${pmdFlags}`);
  const isSwapbacked = (memory.flags[head] & PG_SWAPBACKED) !== 0;
  vma.mm.rss[isSwapbacked ? MM_SHMEMPAGES : MM_FILEPAGES] -= PAGES_PER_PMD;
  if (!isPresent) return;
  if ((pmdFlags & PTE_DIRTY) !== 0) memory.flags[head] |= PG_DIRTY;
  if ((pmdFlags & PTE_YOUNG) !== 0) memory.flags[head] |= PG_REFERENCED;
  folioRemoveRmapPmd(kernel, head, vma);
  folioPut(kernel, head);
}
