import { NIL } from '../../base/units.js';
import { canFollowWrite, gupMustUnshare, tryGrabFolio } from '../fault/gup_grab.js';
import { FOLL_TOUCH, FOLL_WRITE } from '../fault/gup_flags.js';
import type { Kernel } from '../kernel.js';
import { PTE_DIRTY, PTE_PRESENT, PTE_WRITE, PTE_YOUNG } from '../pgtable/pte.js';
import type { Vma } from '../vm/vma.js';
import { findHugeEntry } from './entry.js';
import { hugeOrderOf } from './reserve.js';

/** The entry needs a fault, or an unshare fault, before it can be followed. */
const NEEDS_FAULT = -1;
const NEEDS_UNSHARE = -2;

/**
 * Looks one page of a hugetlb VMA up without a fault: its pfn (grabbed), or a negative value that
 * says which fault is needed. The entry is marked as used, and as written even if it is read-only.
 * @kernel follow_huge_pmd
 */
export function followHugetlbPage(kernel: Kernel, vma: Vma, vpn: number, flags: number): number {
  const { pageTables, memory } = kernel;
  const order = hugeOrderOf(vma);
  const entry = findHugeEntry(kernel, vma.mm, order, vpn);
  const pte = entry === NIL ? 0 : pageTables.flags[entry];
  if ((pte & PTE_PRESENT) === 0) return NEEDS_FAULT;
  const head = memory.folioOf(pageTables.payload[entry]);
  if ((pte & PTE_WRITE) === 0) {
    const wantsWrite = (flags & FOLL_WRITE) !== 0;
    if (wantsWrite && !canFollowWrite(kernel, vma, pte, head, flags)) return NEEDS_FAULT;
    if (gupMustUnshare(kernel, vma, flags, head)) return NEEDS_UNSHARE;
  }
  if ((flags & FOLL_TOUCH) !== 0) {
    pageTables.flags[entry] |= (flags & FOLL_WRITE) === 0 ? PTE_YOUNG : PTE_YOUNG | PTE_DIRTY;
  }
  tryGrabFolio(kernel, head, 1, flags);
  return head + (vpn % 2 ** order);
}
