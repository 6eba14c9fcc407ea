import { NIL, PMD_ORDER } from '../../base/units.js';
import { presentFlags } from '../fault/pte_values.js';
import type { Kernel } from '../kernel.js';
import { PTE_DIRTY, PTE_LEAF, PTE_TABLE, PTE_WRITE } from '../pgtable/pte.js';
import type { Mm } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import { VM_WRITE } from '../vm/vm_flags.js';

/**
 * The entry that maps, or would map, a huge page of 2^order pages at `vpn`: of PMD level for 2 MiB,
 * of PUD level for 1 GiB. NIL if upper tables are missing. @kernel hugetlb_walk
 */
export function findHugeEntry(kernel: Kernel, mm: Mm, order: number, vpn: number): number {
  const { pageTables } = kernel;
  if (order === PMD_ORDER) return pageTables.findPmd(mm.pgd, vpn);
  const pud = pageTables.findPud(mm.pgd, vpn);
  return pud !== NIL && (pageTables.flags[pud] & PTE_TABLE) !== 0 ? NIL : pud;
}

/** The same, with upper tables made. Invalidates held columns. @kernel huge_pte_alloc */
export function allocHugeEntry(kernel: Kernel, mm: Mm, order: number, vpn: number): number {
  const { pageTables } = kernel;
  return order === PMD_ORDER ? pageTables.allocPmd(mm.pgd, vpn) : pageTables.allocPud(mm.pgd, vpn);
}

/**
 * Flags of a new young huge entry: writable and then dirty if asked for and the VMA allows.
 * @kernel make_huge_pte
 */
export function hugeEntryFlags(vma: Vma, tryWritable: boolean): number {
  const flags = presentFlags(vma) | PTE_LEAF;
  const isWritable = tryWritable && (vma.flags & VM_WRITE) !== 0;
  return isWritable ? flags | PTE_WRITE | PTE_DIRTY : flags;
}
