import { ENTRIES_PER_TABLE, NIL, PAGES_PER_PMD, tableIndex, tableEnd } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioMaybeDmaPinned } from '../phys/folio.js';
import { PG_REFERENCED, PG_YOUNG } from '../phys/page_flags.js';
import {
  PTE_LEAF,
  PTE_PRESENT,
  PTE_SOFT_DIRTY,
  PTE_SPECIAL,
  PTE_TABLE,
  PTE_WRITE,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { flushTlbRange } from '../rmap/tlb_model.js';
import { splitHugePmdLocked } from '../thp/split_pmd.js';
import type { Mm } from '../vm/mm.js';
import { mmapWriteLock, mmapWriteUnlock, vmaStartWrite } from '../vm/vma_lock.js';
import { isAnonymous, type Vma } from '../vm/vma.js';
import { isCowMapping, VM_HUGETLB, VM_PFNMAP, VM_SOFTDIRTY } from '../vm/vm_flags.js';

/**
 * What is cleared: the accessed state of all pages, of those of anonymous or of file VMAs, or the
 * soft-dirty bits. @kernel clear_refs_types
 */
export type ClearRefs = 'all' | 'anon' | 'mapped' | 'soft_dirty';

/**
 * A write to /proc/PID/clear_refs (spec 50 §13). Soft-dirty bits are kept only by kernels built
 * for them; clearing takes the write permission away, so that the next write is seen.
 * @kernel clear_refs_write
 */
export function* clearRefs(kernel: Kernel, mm: Mm, what: ClearRefs): Op<void> {
  const isSoftDirty = what === 'soft_dirty';
  const isKept = isSoftDirty && !kernel.profile.softDirty;
  yield* mmapWriteLock(mm);
  for (const vma of mm.vmas) {
    if (what === 'anon' && !isAnonymous(vma)) continue;
    if (what === 'mapped' && isAnonymous(vma)) continue;
    yield* vmaStartWrite(vma);
    if (isKept) continue;
    if (isSoftDirty) vma.flags &= ~VM_SOFTDIRTY;
    yield* pageTablesSettled(mm);
    clearVma(kernel, vma, isSoftDirty);
  }
  yield* mmapWriteUnlock(mm);
}

/** @kernel clear_refs_pte_range */
function clearVma(kernel: Kernel, vma: Vma, isSoftDirty: boolean): void {
  // The walk does not enter hugetlb and has nothing to clear in memory without pages.
  if ((vma.flags & (VM_PFNMAP | VM_HUGETLB)) !== 0) return;
  const { pageTables } = kernel;
  let at = vma.start;
  while (at < vma.end) {
    const blockEnd = Math.min(tableEnd(at), vma.end);
    const pmd = pageTables.findPmd(vma.mm.pgd, at);
    if (pmd !== NIL && (pageTables.flags[pmd] & PTE_LEAF) !== 0) {
      if (blockEnd - at === PAGES_PER_PMD) clearEntry(kernel, vma, pmd, isSoftDirty);
      else splitHugePmdLocked(kernel, vma, at, pmd, false);
    }
    if (pmd !== NIL && (pageTables.flags[pmd] & PTE_TABLE) !== 0) {
      const first = pageTables.payload[pmd] * ENTRIES_PER_TABLE + tableIndex(at);
      for (let entry = first; entry < first + (blockEnd - at); entry += 1) {
        if (pageTables.flags[entry] !== 0) clearEntry(kernel, vma, entry, isSoftDirty);
      }
    }
    at = blockEnd;
  }
  if (isSoftDirty) flushTlbRange(kernel, vma.mm, vma.start, vma.end);
}

function clearEntry(kernel: Kernel, vma: Vma, entry: number, isSoftDirty: boolean): void {
  const { flags, payload } = kernel.pageTables;
  const { memory } = kernel;
  const pte = flags[entry];
  const isPresent = (pte & PTE_PRESENT) !== 0;
  const isNormal = (pte & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT;
  const head = isPresent ? memory.folioOf(payload[entry]) : NIL;
  if (isSoftDirty) {
    // Who holds a pin writes without a fault, so the bit stays.
    const isPinned =
      isNormal && isCowMapping(vma.flags) && vma.mm.hasPinned && folioMaybeDmaPinned(kernel, head);
    if (isPinned) return;
    flags[entry] = isPresent ? pte & ~(PTE_SOFT_DIRTY | PTE_WRITE) : pte & ~PTE_SOFT_DIRTY;
  } else if (isNormal) {
    flags[entry] = pte & ~PTE_YOUNG;
    memory.flags[head] &= ~(PG_REFERENCED | PG_YOUNG);
  }
}
