import { PAGES_PER_PMD } from '../../base/units.js';
import type { Kernel } from '../../kernel/kernel.js';
import { PTE_LEAF, PTE_PRESENT, PTE_SPECIAL } from '../../kernel/pgtable/pte.js';
import { isAnonFolio } from '../../kernel/phys/folio.js';
import type { Mm } from '../../kernel/vm/mm.js';
import type { Vma } from '../../kernel/vm/vma.js';

/** What a walk over page tables finds. */
export interface PageVisitor {
  /** A present anonymous page. */
  page(vpn: number, pfn: number, isHuge: boolean): void;
  /** Zero-page entries, small or huge. */
  zero?(count: number): void;
}

/** Visits the anonymous pages of a VMA by address. */
export function walkAnonymousPages(kernel: Kernel, vma: Vma, visitor: PageVisitor): void {
  const { pageTables, memory } = kernel;
  const { pgd } = vma.mm;
  let vpn = vma.start;
  while (vpn < vma.end) {
    const next = Math.min(vma.end, vpn - (vpn % PAGES_PER_PMD) + PAGES_PER_PMD);
    const pmd = pageTables.findPmd(pgd, vpn);
    const flags = pmd < 0 ? 0 : (pageTables.flags[pmd] ?? 0);
    if ((flags & PTE_LEAF) !== 0) {
      const head = pageTables.payload[pmd] ?? 0;
      if ((flags & PTE_SPECIAL) !== 0) visitor.zero?.(next - vpn);
      else if ((flags & PTE_PRESENT) !== 0 && isAnonFolio(kernel, memory.folioOf(head))) {
        for (; vpn < next; vpn += 1) visitor.page(vpn, head + (vpn % PAGES_PER_PMD), true);
      }
    } else if (flags !== 0) {
      let entry = pageTables.findPte(pgd, vpn);
      for (; vpn < next; vpn += 1, entry += 1) {
        const pte = pageTables.flags[entry] ?? 0;
        if ((pte & PTE_PRESENT) === 0) continue;
        if ((pte & PTE_SPECIAL) !== 0) {
          visitor.zero?.(1);
          continue;
        }
        const pfn = pageTables.payload[entry] ?? 0;
        if (isAnonFolio(kernel, memory.folioOf(pfn))) visitor.page(vpn, pfn, false);
      }
    }
    vpn = next;
  }
}

/** The anonymous page at an address, or −1. */
export function anonymousPage(kernel: Kernel, mm: Mm, vpn: number): number {
  const { pageTables, memory } = kernel;
  const pmd = pageTables.findPmd(mm.pgd, vpn);
  if (pmd < 0) return -1;
  const isLeaf = ((pageTables.flags[pmd] ?? 0) & PTE_LEAF) !== 0;
  const entry = isLeaf ? pmd : pageTables.findPte(mm.pgd, vpn);
  if (entry < 0) return -1;
  const flags = pageTables.flags[entry] ?? 0;
  if ((flags & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) return -1;
  const pfn = (pageTables.payload[entry] ?? 0) + (isLeaf ? vpn % PAGES_PER_PMD : 0);
  return isAnonFolio(kernel, memory.folioOf(pfn)) ? pfn : -1;
}
