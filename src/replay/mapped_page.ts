import { PAGES_PER_PMD } from '../base/units.js';
import type { Kernel } from '../kernel/kernel.js';
import { PTE_LEAF, PTE_PRESENT, PTE_SPECIAL } from '../kernel/pgtable/pte.js';
import { isAnonFolio } from '../kernel/phys/folio.js';
import type { Mm } from '../kernel/vm/mm.js';

/** No anonymous page. */
export const NO_PAGE = -1;

/** The machine's anonymous page at `vpn`, or `NO_PAGE`. */
export function anonymousPageAt(kernel: Kernel, mm: Mm, vpn: number): number {
  const { pageTables, memory } = kernel;
  const pmd = pageTables.findPmd(mm.pgd, vpn);
  if (pmd < 0) return NO_PAGE;
  const isLeaf = ((pageTables.flags[pmd] ?? 0) & PTE_LEAF) !== 0;
  const entry = isLeaf ? pmd : pageTables.findPte(mm.pgd, vpn);
  if (entry < 0) return NO_PAGE;
  const flags = pageTables.flags[entry] ?? 0;
  if ((flags & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) return NO_PAGE;
  const pfn = (pageTables.payload[entry] ?? 0) + (isLeaf ? vpn % PAGES_PER_PMD : 0);
  return isAnonFolio(kernel, memory.folioOf(pfn)) ? pfn : NO_PAGE;
}
