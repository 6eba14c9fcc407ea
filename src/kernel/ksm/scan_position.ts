import { ENTRIES_PER_TABLE, NIL, PAGES_PER_PMD, PAGES_PER_PUD } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { isAnonFolio } from '../phys/folio.js';
import { PTE_LEAF, PTE_PRESENT, PTE_SPECIAL, PTE_TABLE } from '../pgtable/pte.js';
import type { Mm } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';

const NORMAL = PTE_PRESENT | PTE_SPECIAL;

/** The normal page that `vpn` maps through a PTE or PMD, or NIL. @kernel folio_walk_start */
export function presentPage(kernel: Kernel, mm: Mm, vpn: number): number {
  const { pageTables } = kernel;
  const pmd = pageTables.findPmd(mm.pgd, vpn);
  if (pmd === NIL) return NIL;
  if ((pageTables.flags[pmd] & PTE_LEAF) !== 0) {
    if ((pageTables.flags[pmd] & NORMAL) !== PTE_PRESENT) return NIL;
    return pageTables.payload[pmd] + (vpn % PAGES_PER_PMD);
  }
  const entry = pageTables.findPte(mm.pgd, vpn);
  if (entry === NIL || (pageTables.flags[entry] & NORMAL) !== PTE_PRESENT) return NIL;
  return pageTables.payload[entry];
}

/** First page at or behind `vpn` in the VMA that maps an anonymous folio, or NIL. */
export function nextAnonPage(kernel: Kernel, vma: Vma, from: number): number {
  const { pageTables, memory } = kernel;
  const { pgd } = vma.mm;
  let vpn = from;
  while (vpn < vma.end) {
    const pmd = pageTables.findPmd(pgd, vpn);
    if (pmd === NIL) {
      const span = pageTables.findPud(pgd, vpn) === NIL ? 2 ** 27 : PAGES_PER_PUD;
      vpn += span - (vpn % span);
      continue;
    }
    const pmdFlags = pageTables.flags[pmd];
    const blockEnd = vpn - (vpn % PAGES_PER_PMD) + PAGES_PER_PMD;
    if ((pmdFlags & PTE_TABLE) !== 0) {
      const to = Math.min(blockEnd, vma.end);
      let entry = pageTables.payload[pmd] * ENTRIES_PER_TABLE + (vpn % ENTRIES_PER_TABLE);
      for (; vpn < to; vpn += 1, entry += 1) {
        if ((pageTables.flags[entry] & NORMAL) !== PTE_PRESENT) continue;
        if (isAnonFolio(kernel, memory.folioOf(pageTables.payload[entry]))) return vpn;
      }
    } else if (isAnonLeaf(kernel, pmd)) {
      return vpn;
    } else {
      vpn = blockEnd;
    }
  }
  return NIL;
}

function isAnonLeaf(kernel: Kernel, pmd: number): boolean {
  const { pageTables, memory } = kernel;
  if ((pageTables.flags[pmd] & NORMAL) !== PTE_PRESENT) return false;
  const head = memory.folioOf(pageTables.payload[pmd]);
  return head !== memory.hugeZeroPfn && isAnonFolio(kernel, head);
}
