import { PMD_ORDER, PUD_ORDER } from '../../base/units.js';

/** The pool of huge pages of one size. @kernel hstate */
export class HugetlbPool {
  readonly order: number;
  /** Pages of the pool, free or used. @kernel hstate.nr_huge_pages */
  total = 0;
  /** Pages in use beyond what the knob asks for: they leave the pool when freed. */
  surplus = 0;
  /**
   * Promised to mappings and not allocated yet; free pages beyond this are for everybody. May be
   * negative for a while: an owner gives its promise up before its page is free.
   * @kernel hstate.resv_huge_pages
   */
  reserved = 0;
  /** Heads of free folios; the last freed is used first. @kernel hstate.hugepage_freelists */
  readonly free: number[] = [];
  /** Folios in use that become promised again when freed. @kernel HPG_restore_reserve */
  readonly restoresReserve = new Set<number>();

  /** Folios in use whose place in the pool another one has taken. @kernel HPG_temporary */
  readonly temporary = new Set<number>();

  constructor(order: number) {
    this.order = order;
  }

  /** Free pages that nobody was promised. @kernel available_huge_pages */
  get available(): number {
    return this.free.length - this.reserved;
  }
}

/** The pools of a machine by page size. */
export class HugetlbPools {
  private readonly pmd = new HugetlbPool(PMD_ORDER);
  private readonly pud = new HugetlbPool(PUD_ORDER);

  of(order: number): HugetlbPool {
    return order === PUD_ORDER ? this.pud : this.pmd;
  }
}
