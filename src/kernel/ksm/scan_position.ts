import { ENTRIES_PER_TABLE, NIL, PAGES_PER_PUD, tableIndex, tableEnd } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { isAnonFolio } from '../phys/folio.js';
import { PTE_LEAF, PTE_PRESENT, PTE_SPECIAL, PTE_TABLE } from '../pgtable/pte.js';
import { findVmaIndex, type Mm } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import { VM_MERGEABLE } from '../vm/vm_flags.js';

const NORMAL = PTE_PRESENT | PTE_SPECIAL;

/** Whether an entry maps a page that has a folio. */
export function isNormal(flags: number): boolean {
  return (flags & NORMAL) === PTE_PRESENT;
}

/** The normal page that `vpn` maps through a PTE or PMD, or NIL. @kernel folio_walk_start */
export function presentPage(kernel: Kernel, mm: Mm, vpn: number): number {
  const { pageTables } = kernel;
  const pmd = pageTables.findPmd(mm.pgd, vpn);
  if (pmd === NIL) return NIL;
  if ((pageTables.flags[pmd] & PTE_LEAF) !== 0) {
    if (!isNormal(pageTables.flags[pmd])) return NIL;
    return pageTables.payload[pmd] + tableIndex(vpn);
  }
  const entry = pageTables.findPte(mm.pgd, vpn);
  if (entry === NIL || !isNormal(pageTables.flags[entry])) return NIL;
  return pageTables.payload[entry];
}

/** Where a pass stands in one address space. @kernel ksm_scan */
export class ScanPosition {
  /** Address of the current page; the next search begins behind it. @kernel ksm_scan.address */
  vpn = -1;
  /** The page that it maps. */
  page = NIL;
  /** Whether a mergeable VMA was seen. */
  isMergeable = false;
  /** Entry of the current page, if a table of PTEs has it, and the end of the VMA's entries there. */
  entry = NIL;
  entriesEnd = NIL;

  /** Goes to the next anonymous page in a mergeable VMA; false if there is none. */
  advance(kernel: Kernel, mm: Mm): boolean {
    const from = this.vpn + 1;
    const { vmas } = mm;
    for (let index = findVmaIndex(mm, from); index < vmas.length; index += 1) {
      const vma = vmas[index];
      if ((vma.flags & VM_MERGEABLE) === 0) continue;
      this.isMergeable = true;
      if (vma.anonVma === undefined) continue;
      if (this.findIn(kernel, vma, Math.max(from, vma.start))) return true;
    }
    return false;
  }

  private findIn(kernel: Kernel, vma: Vma, from: number): boolean {
    const { pageTables } = kernel;
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
      const blockEnd = tableEnd(vpn);
      if ((pmdFlags & PTE_TABLE) !== 0) {
        const to = Math.min(blockEnd, vma.end);
        let entry = pageTables.payload[pmd] * ENTRIES_PER_TABLE + tableIndex(vpn);
        for (; vpn < to; vpn += 1, entry += 1) {
          if (!this.accept(kernel, vpn, entry, 0)) continue;
          this.entry = entry;
          this.entriesEnd = entry + (to - vpn);
          return true;
        }
      } else if (this.accept(kernel, vpn, pmd, tableIndex(vpn))) {
        this.entriesEnd = NIL;
        return true;
      } else {
        vpn = blockEnd;
      }
    }
    return false;
  }

  /** Stands at `vpn` if its entry maps an anonymous page, `offset` pages behind the payload. */
  private accept(kernel: Kernel, vpn: number, entry: number, offset: number): boolean {
    const { pageTables, memory } = kernel;
    if (!isNormal(pageTables.flags[entry])) return false;
    const head = memory.folioOf(pageTables.payload[entry]);
    if (!isAnonFolio(kernel, head)) return false;
    this.vpn = vpn;
    this.page = pageTables.payload[entry] + offset;
    return true;
  }
}
