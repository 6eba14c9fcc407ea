import { ENTRIES_PER_TABLE, NIL, tableEnd } from '../../base/units.js';
import { EINVAL, ENOENT } from '../errno.js';
import { mergeAccessBits } from '../fault/entry_batch.js';
import { isWatchedMemory } from '../fault/pte_values.js';
import { needsSoftDirtyFault } from '../fault/soft_dirty.js';
import type { Kernel } from '../kernel.js';
import { downRead, upRead, type Op } from '../op/prims.js';
import { isAnonFolio } from '../phys/folio.js';
import { PG_ANON_EXCLUSIVE } from '../phys/page_flags.js';
import {
  KIND_DEVICE_READ,
  KIND_DEVICE_WRITE,
  KIND_HWPOISON,
  KIND_MARKER,
  KIND_MASK,
  KIND_MIGRATION_READ,
  KIND_MIGRATION_READ_EXCLUSIVE,
  KIND_MIGRATION_WRITE,
  MARKER_UFFD_WP,
  PTE_DIRTY,
  PTE_LEAF,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_TABLE,
  PTE_UFFD_WP,
  PTE_WRITE,
} from '../pgtable/pte.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { flushTlbRange } from '../rmap/tlb_model.js';
import { splitHugePmdLocked } from '../thp/split_pmd.js';
import { findVmaIndex, type Mm } from '../vm/mm.js';
import { isAnonymous, type Vma } from '../vm/vma.js';
import { VM_HUGETLB, VM_SHARED, VM_UFFD_WP, VM_WRITE } from '../vm/vm_flags.js';
import { changeHugetlbUffdWp, isHugeAligned } from './hugetlb.js';

/**
 * UFFDIO_WRITEPROTECT: protects the pages of a range against writes, or resolves that. All VMAs of
 * the range must be registered for it. Returns 0 or a negative errno. @kernel mwriteprotect_range
 */
export function* uffdWriteProtect(
  kernel: Kernel,
  mm: Mm,
  at: number,
  lengthPages: number,
  isOn: boolean,
): Op<number> {
  if (lengthPages <= 0) return -EINVAL;
  const end = at + lengthPages;
  let result = -ENOENT;
  yield* downRead(mm.mmapLock);
  for (let i = findVmaIndex(mm, at); i < mm.vmas.length && mm.vmas[i].start < end; i += 1) {
    const vma = mm.vmas[i];
    if ((vma.flags & VM_UFFD_WP) === 0) {
      result = -ENOENT;
      break;
    }
    const [from, to] = [Math.max(at, vma.start), Math.min(end, vma.end)];
    if ((vma.flags & VM_HUGETLB) !== 0 && !isHugeAligned(vma, from, to)) {
      result = -EINVAL;
      break;
    }
    yield* pageTablesSettled(mm);
    changeUffdWp(kernel, vma, from, to, isOn);
    result = 0;
  }
  yield* upRead(mm.mmapLock);
  return result;
}

/**
 * Sets or clears the protection of the entries of [start, end), a range inside the VMA. Empty
 * entries are protected by markers where pages can come from elsewhere, or if the context wants
 * that. A resolved page that is exclusive becomes writable at once. @kernel uffd_wp_range
 */
export function changeUffdWp(
  kernel: Kernel,
  vma: Vma,
  start: number,
  end: number,
  isOn: boolean,
): void {
  if ((vma.flags & VM_HUGETLB) !== 0) changeHugetlbUffdWp(kernel, vma, start, end, isOn);
  else changeTables(kernel, vma, start, end, isOn);
  flushTlbRange(kernel, vma.mm, start, end);
}

function changeTables(kernel: Kernel, vma: Vma, start: number, end: number, isOn: boolean): void {
  const { pageTables } = kernel;
  const { pgd } = vma.mm;
  const usesMarkers = isOn && needsMarkers(vma);
  let at = start;
  while (at < end) {
    const blockEnd = Math.min(tableEnd(at), end);
    const pmd = pageTables.findPmd(pgd, at);
    if (pmd !== NIL && (pageTables.flags[pmd] & PTE_LEAF) !== 0) {
      const isWhole = blockEnd - at === ENTRIES_PER_TABLE;
      // Markers live at PTE level, so a huge entry of a file cannot be protected as a whole.
      if (isWhole && !(isOn && !isAnonymous(vma))) changeEntry(kernel, vma, pmd, isOn, false);
      else splitHugePmdLocked(kernel, vma, at, pmd, false);
    }
    const hasTable = pmd !== NIL && (pageTables.flags[pmd] & PTE_TABLE) !== 0;
    const isEmpty = pmd === NIL || pageTables.flags[pmd] === 0;
    if (hasTable || (isEmpty && usesMarkers)) {
      const first = pageTables.allocPte(pgd, at);
      const last = first + (blockEnd - at);
      mergeAccessBits(kernel, first, last);
      for (let entry = first; entry < last; entry += 1) {
        changeEntry(kernel, vma, entry, isOn, usesMarkers);
      }
    }
    at = blockEnd;
  }
}

/** @kernel userfaultfd_wp_use_markers */
function needsMarkers(vma: Vma): boolean {
  return !isAnonymous(vma) || vma.mm.uffd?.protectsUnpopulated === true;
}

function changeEntry(
  kernel: Kernel,
  vma: Vma,
  entry: number,
  isOn: boolean,
  usesMarkers: boolean,
): void {
  const { flags, payload } = kernel.pageTables;
  const pte = flags[entry];
  if (pte === 0) {
    if (!usesMarkers) return;
    flags[entry] = KIND_MARKER;
    payload[entry] = MARKER_UFFD_WP;
  } else if ((pte & PTE_PRESENT) === 0) {
    changeNonPresent(kernel, entry, pte, isOn);
  } else if (isOn) {
    flags[entry] = (pte | PTE_UFFD_WP) & ~PTE_WRITE;
  } else {
    const mayWrite = (vma.flags & VM_WRITE) !== 0 && canWriteAgain(kernel, vma, entry);
    flags[entry] = (pte & ~(PTE_UFFD_WP | PTE_WRITE)) | (mayWrite ? PTE_WRITE : 0);
  }
}

/** Shared mappings watch writes while registered: at best dirty entries are writable again. */
function canWriteAgain(kernel: Kernel, vma: Vma, entry: number): boolean {
  const pte = kernel.pageTables.flags[entry];
  if ((pte & PTE_SPECIAL) !== 0 || needsSoftDirtyFault(kernel, vma.flags, pte)) return false;
  if ((vma.flags & VM_SHARED) !== 0) return (pte & PTE_DIRTY) !== 0 && !isWatchedMemory(vma);
  const pfn = kernel.pageTables.payload[entry];
  const { memory } = kernel;
  return isAnonFolio(kernel, memory.folioOf(pfn)) && (memory.flags[pfn] & PG_ANON_EXCLUSIVE) !== 0;
}

function changeNonPresent(kernel: Kernel, entry: number, pte: number, isOn: boolean): void {
  const { flags, payload } = kernel.pageTables;
  const kind = pte & KIND_MASK;
  if (kind === KIND_MARKER) {
    if (!isOn && (payload[entry] & MARKER_UFFD_WP) !== 0) flags[entry] = 0;
    return;
  }
  if (kind === KIND_HWPOISON) return;
  let changed = pte;
  if (kind === KIND_MIGRATION_WRITE) {
    const isAnon = isAnonFolio(kernel, kernel.memory.folioOf(payload[entry]));
    const readable = isAnon ? KIND_MIGRATION_READ_EXCLUSIVE : KIND_MIGRATION_READ;
    changed = (pte & ~KIND_MASK) | readable;
  } else if (kind === KIND_DEVICE_WRITE) {
    changed = (pte & ~KIND_MASK) | KIND_DEVICE_READ;
  }
  flags[entry] = isOn ? changed | PTE_UFFD_WP : changed & ~PTE_UFFD_WP;
}
