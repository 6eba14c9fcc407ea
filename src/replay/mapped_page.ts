import { NIL, tableIndex } from '../base/units.js';
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

/** Looks up many pages of one mm, mostly upwards, while its tables stay as they are. */
export class AnonymousPages {
  private readonly kernel: Kernel;
  private readonly mm: Mm;
  /** The table that was looked at last: its first page, and the entry of that. */
  private firstVpn = -1;
  private firstEntry = NIL;

  constructor(kernel: Kernel, mm: Mm) {
    this.kernel = kernel;
    this.mm = mm;
  }

  /** The machine's anonymous page at `vpn`, or `NO_PAGE`. */
  at(vpn: number): number {
    const { kernel, mm } = this;
    const { pageTables, memory } = kernel;
    const index = tableIndex(vpn);
    if (vpn - index !== this.firstVpn) {
      this.firstVpn = vpn - index;
      this.firstEntry = pageTables.findPte(mm.pgd, this.firstVpn);
    }
    if (this.firstEntry === NIL) return anonymousPageAt(kernel, mm, vpn);
    const entry = this.firstEntry + index;
    const flags = pageTables.flags[entry] ?? 0;
    if ((flags & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) return NO_PAGE;
    const pfn = pageTables.payload[entry] ?? 0;
    return isAnonFolio(kernel, memory.folioOf(pfn)) ? pfn : NO_PAGE;
  }
}
