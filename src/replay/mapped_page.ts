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

  /**
   * Puts the machine's anonymous page at each of the first `count` pages of `vpns` into `found`,
   * `NO_PAGE` for none. One loop for each column: the rows of pages lie far apart, and in short
   * loops the loads of many overlap.
   */
  lookUp(vpns: Float64Array, count: number, found: Int32Array): void {
    const { kernel } = this;
    const { memory } = kernel;
    for (let i = 0; i < count; i += 1) found[i] = this.mappedPage(vpns[i] ?? 0);
    for (let i = 0; i < count; i += 1) {
      const page = found[i] ?? NO_PAGE;
      if (page === NO_PAGE) continue;
      if (!isAnonFolio(kernel, memory.folioOf(page))) found[i] = NO_PAGE;
    }
  }

  /** What a PTE maps at `vpn`, anonymous or not; a huge page if it is anonymous. */
  private mappedPage(vpn: number): number {
    const { pageTables } = this.kernel;
    const index = tableIndex(vpn);
    if (vpn - index !== this.firstVpn) {
      this.firstVpn = vpn - index;
      this.firstEntry = pageTables.findPte(this.mm.pgd, this.firstVpn);
    }
    if (this.firstEntry === NIL) return anonymousPageAt(this.kernel, this.mm, vpn);
    const entry = this.firstEntry + index;
    const flags = pageTables.flags[entry] ?? 0;
    if ((flags & (PTE_PRESENT | PTE_SPECIAL)) !== PTE_PRESENT) return NO_PAGE;
    return pageTables.payload[entry] ?? 0;
  }
}
