import { ENTRIES_PER_TABLE, NIL, PAGES_PER_PUD, tableEnd, tableIndex } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { PTE_LEAF, PTE_TABLE } from '../pgtable/pte.js';
import type { Vma } from '../vm/vma.js';

/**
 * Called for each non-empty entry that covers pages of the VMA: its index in `PageTables`, the
 * first page it covers inside the VMA, how many, and the level (1 PTE, 2 PMD, 3 PUD).
 */
export type EntryVisitor = (entry: number, vpn: number, count: number, level: 1 | 2 | 3) => void;

/** Visits the entries of a VMA in ascending order of address. @kernel walk_page_vma */
export function walkEntries(kernel: Kernel, vma: Vma, visit: EntryVisitor): void {
  const { pageTables } = kernel;
  const { pgd } = vma.mm;
  let at = vma.start;
  while (at < vma.end) {
    const pud = pageTables.findPud(pgd, at);
    if (pud === NIL || pageTables.flags[pud] === 0) {
      const span = pud === NIL ? 2 ** 27 : PAGES_PER_PUD;
      at = at - (at % span) + span;
      continue;
    }
    if ((pageTables.flags[pud] & PTE_LEAF) !== 0) {
      const to = Math.min(at - (at % PAGES_PER_PUD) + PAGES_PER_PUD, vma.end);
      visit(pud, at, to - at, 3);
      at = to;
      continue;
    }
    const to = Math.min(tableEnd(at), vma.end);
    const pmd = pageTables.findPmd(pgd, at);
    const flags = pageTables.flags[pmd];
    if ((flags & PTE_TABLE) !== 0) {
      const from = pageTables.payload[pmd] * ENTRIES_PER_TABLE + tableIndex(at);
      for (let i = 0; i < to - at; i += 1) {
        if (pageTables.flags[from + i] !== 0) visit(from + i, at + i, 1, 1);
      }
    } else if (flags !== 0) {
      visit(pmd, at, to - at, 2);
    }
    at = to;
  }
}

/** The page that an entry at a level maps at `vpn`. */
export function pageAt(kernel: Kernel, entry: number, vpn: number, level: 1 | 2 | 3): number {
  const base = kernel.pageTables.payload[entry];
  if (level === 1) return base;
  return base + (vpn % (level === 2 ? ENTRIES_PER_TABLE : PAGES_PER_PUD));
}
