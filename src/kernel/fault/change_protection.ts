import { ENTRIES_PER_TABLE, NIL, tableEnd, tableIndex } from '../../base/units.js';
import { changeHugetlbProtection } from '../hugetlb/change_protection.js';
import type { Kernel } from '../kernel.js';
import { isAnonFolio } from '../phys/folio.js';
import { fillFlags, flagsAlike } from '../pgtable/entry_run.js';
import { PG_ANON_EXCLUSIVE } from '../phys/page_flags.js';
import {
  KIND_DEVICE_READ,
  KIND_DEVICE_WRITE,
  KIND_MASK,
  KIND_MIGRATION_READ,
  KIND_MIGRATION_READ_EXCLUSIVE,
  KIND_MIGRATION_WRITE,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_SPECIAL,
  PTE_TABLE,
  PTE_UFFD_WP,
  PTE_WRITE,
} from '../pgtable/pte.js';
import { mergeAccessBits } from './entry_batch.js';
import { isWatchedMemory, tracksWrites } from './pte_values.js';
import { needsSoftDirtyFault } from './soft_dirty.js';
import { flushTlbBatchedPending } from '../rmap/tlb_batch.js';
import { flushTlbRange } from '../rmap/tlb_model.js';
import { splitHugePmdLocked } from '../thp/split_pmd.js';
import type { Vma } from '../vm/vma.js';
import { VM_ACCESS_FLAGS, VM_HUGETLB, VM_SHARED, VM_WRITE } from '../vm/vm_flags.js';

/**
 * Applies the protection in `newFlags` to the entries of [start, end), a range inside the VMA
 * (spec 97 §6.5, 30 §4). Never copies and never makes a page exclusive. @kernel change_protection
 */
export function changeProtection(
  kernel: Kernel,
  vma: Vma,
  start: number,
  end: number,
  newFlags: number,
): void {
  if ((vma.flags & VM_HUGETLB) !== 0) {
    changeHugetlbProtection(kernel, vma, start, end, newFlags);
  } else {
    changeTables(kernel, vma, start, end, newFlags);
  }
  flushTlbRange(kernel, vma.mm, start, end);
}

function changeTables(
  kernel: Kernel,
  vma: Vma,
  start: number,
  end: number,
  newFlags: number,
): void {
  const { pageTables } = kernel;
  const { pgd } = vma.mm;
  let at = start;
  while (at < end) {
    const blockEnd = Math.min(tableEnd(at), end);
    const pmd = pageTables.findPmd(pgd, at);
    if (pmd === NIL) {
      at = pageTables.skipHole(pgd, at, end);
      continue;
    }
    const flags = pageTables.flags[pmd];
    if (flags !== 0 && (flags & PTE_TABLE) === 0) {
      if (blockEnd - at === ENTRIES_PER_TABLE) {
        changeEntries(kernel, vma, pmd, pmd + 1, newFlags);
      } else {
        splitHugePmdLocked(kernel, vma, at, pmd, false);
      }
    }
    if ((pageTables.flags[pmd] & PTE_TABLE) !== 0) {
      const from = pageTables.payload[pmd] * ENTRIES_PER_TABLE + tableIndex(at);
      changeEntries(kernel, vma, from, from + (blockEnd - at), newFlags);
    }
    at = blockEnd;
  }
}

/** Entries [from, to) of one table, PTEs or whole PMD leaves. @kernel change_pte_range */
function changeEntries(kernel: Kernel, vma: Vma, from: number, to: number, newFlags: number): void {
  flushTlbBatchedPending(kernel, vma.mm);
  const { payload, flags } = kernel.pageTables;
  const isWritable = (newFlags & VM_WRITE) !== 0;
  const isShared = (vma.flags & VM_SHARED) !== 0;
  const tracksDirty = tracksWrites(vma);
  const isWatched = isWatchedMemory(vma);
  const none = (newFlags & VM_ACCESS_FLAGS) === 0 ? PTE_PROTNONE : 0;
  mergeAccessBits(kernel, from, to);
  let entry = from;
  while (entry < to) {
    const pte = flags[entry];
    if (pte === 0 || (pte & PTE_PRESENT) === 0) {
      if (pte !== 0) changeNonPresent(kernel, entry, pte);
      entry += 1;
      continue;
    }
    let changed = (pte & ~PTE_PROTNONE) | none;
    // Neighbours mostly have the same flags: then they are written together.
    let length = 0;
    if (!isWritable || isWatched) {
      changed &= ~PTE_WRITE;
    } else if (
      none === 0 &&
      (pte & (PTE_WRITE | PTE_SPECIAL | PTE_UFFD_WP)) === 0 &&
      !needsSoftDirtyFault(kernel, newFlags, pte)
    ) {
      if (isShared) {
        if (!tracksDirty || (pte & PTE_DIRTY) !== 0) changed |= PTE_WRITE;
      } else {
        // Only anonymous pages are exclusive.
        const exclusive = kernel.memory.flags[payload[entry]] & PG_ANON_EXCLUSIVE;
        if (exclusive !== 0) changed |= PTE_WRITE;
        length = pagesAlike(kernel, entry, to, pte, exclusive);
      }
    }
    if (length === 0) length = flagsAlike(kernel.pageTables, entry, to, pte);
    if (changed !== pte) fillFlags(flags, changed, entry, length);
    entry += length;
  }
}

/** Entries in [from, to) with the flags `pte` whose pages are alike exclusive, from `from` on. */
function pagesAlike(
  kernel: Kernel,
  from: number,
  to: number,
  pte: number,
  exclusive: number,
): number {
  const { payload, flags } = kernel.pageTables;
  const pageFlags = kernel.memory.flags;
  let entry = from + 1;
  while (
    entry < to &&
    flags[entry] === pte &&
    (pageFlags[payload[entry]] & PG_ANON_EXCLUSIVE) === exclusive
  ) {
    entry += 1;
  }
  return entry - from;
}

/** Writable migration and device entries become readable; swap entries stay as they are. */
function changeNonPresent(kernel: Kernel, entry: number, pte: number): void {
  const { payload, flags } = kernel.pageTables;
  const kind = pte & KIND_MASK;
  if (kind === KIND_MIGRATION_WRITE) {
    const isAnon = isAnonFolio(kernel, kernel.memory.folioOf(payload[entry]));
    const readable = isAnon ? KIND_MIGRATION_READ_EXCLUSIVE : KIND_MIGRATION_READ;
    flags[entry] = (pte & ~KIND_MASK) | readable;
  } else if (kind === KIND_DEVICE_WRITE) {
    flags[entry] = (pte & ~KIND_MASK) | KIND_DEVICE_READ;
  }
}
