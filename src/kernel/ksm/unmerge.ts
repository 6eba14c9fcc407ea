import { NIL } from '../../base/units.js';
import { ENOMEM } from '../errno.js';
import { FAULT_UNSHARE, VM_FAULT_ERROR, VM_FAULT_OOM } from '../fault/fault_flags.js';
import { handleMmFault } from '../fault/handle.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { isKsmFolio } from '../phys/folio.js';
import { PTE_DIRTY, PTE_PRESENT, PTE_SPECIAL } from '../pgtable/pte.js';
import type { Vma } from '../vm/vma.js';

/**
 * Gives every merged page of [start, end) back to its owner as a private copy, which stays
 * read-only and clean (spec 98 §7.3); the items stay until ksmd comes by. The mmap lock is held.
 * Returns 0 or a negative errno. @kernel unmerge_ksm_pages
 */
export function* unmergeKsmPages(kernel: Kernel, vma: Vma, start: number, end: number): Op<number> {
  if (!kernel.ksm.hasMerged && vma.mm.ksmZeroPages === 0) return 0;
  for (let vpn = start; vpn < end; vpn += 1) {
    const failed = yield* breakKsm(kernel, vma, vpn);
    if (failed !== 0) return failed;
  }
  return 0;
}

/** Unshares until the entry maps no merged page. Returns 0 or -ENOMEM. @kernel break_ksm */
export function* breakKsm(kernel: Kernel, vma: Vma, vpn: number): Op<number> {
  while (isMerged(kernel, vma, vpn)) {
    const result = yield* handleMmFault(kernel, vma, vpn, FAULT_UNSHARE);
    if ((result & VM_FAULT_ERROR) !== 0) return (result & VM_FAULT_OOM) === 0 ? 0 : -ENOMEM;
  }
  return 0;
}

/** A KSM folio, or a zero page that ksmd placed: those are dirty. @kernel is_ksm_zero_pte */
function isMerged(kernel: Kernel, vma: Vma, vpn: number): boolean {
  const { pageTables, memory } = kernel;
  const entry = pageTables.findPte(vma.mm.pgd, vpn);
  if (entry === NIL) return false;
  const pte = pageTables.flags[entry];
  if ((pte & PTE_PRESENT) === 0) return false;
  if ((pte & PTE_SPECIAL) !== 0) {
    return (pte & PTE_DIRTY) !== 0 && pageTables.payload[entry] === memory.zeroPfn;
  }
  return isKsmFolio(kernel, memory.folioOf(pageTables.payload[entry]));
}
