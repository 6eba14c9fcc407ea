import { NIL } from '../base/units.js';
import type { Kernel } from '../kernel/kernel.js';
import { PTE_PRESENT, PTE_SPECIAL } from '../kernel/pgtable/pte.js';
import { isAnonFolio } from '../kernel/phys/folio.js';
import type { Mm } from '../kernel/vm/mm.js';

/** No anonymous page. */
export const NO_PAGE = -1;

/** The machine's anonymous page at `vpn`, or `NO_PAGE`. */
export function anonymousPageAt(kernel: Kernel, mm: Mm, vpn: number): number {
  const { pageTables, memory } = kernel;
  const entry = pageTables.findLeaf(mm.pgd, vpn);
  if (entry === NIL) return NO_PAGE;
  const flags = pageTables.flags[entry] ?? 0;
  if ((flags & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) return NO_PAGE;
  const pfn = pageTables.pageOfLeaf(mm.pgd, entry, vpn);
  return isAnonFolio(kernel, memory.folioOf(pfn)) ? pfn : NO_PAGE;
}
