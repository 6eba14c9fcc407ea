import { NIL } from '../base/units.js';
import type { Kernel } from '../kernel/kernel.js';
import { runToEnd } from '../kernel/op/prims.js';
import { folioPrecisePageMapcount } from '../kernel/phys/folio.js';
import { findMappers } from '../kernel/rmap/find_mappers.js';
import type { Mm } from '../kernel/vm/mm.js';
import { anonymousPageAt, NO_PAGE } from './mapped_page.js';
import { MOST_PFN, PfnTable } from './pfn_table.js';

/** Where the machine maps a page. */
export interface PagePlace {
  readonly pid: number;
  readonly vpn: number;
}

/**
 * Which page of the machine stands for which page frame of the recorded host: known where the
 * recording shows an allocation together with its address, and from snapshots.
 */
export class PageIdentity {
  private readonly kernel: Kernel;
  /** Host pfn → machine page + 1, and back. */
  private readonly machineOf = new PfnTable();
  private readonly hostOf: Int32Array;
  /** Index of the machine page when it was bound: a page that was used again since has another. */
  private readonly indexOf: Int32Array;
  private readonly pidOfMm = new Map<Mm, number>();

  constructor(kernel: Kernel) {
    this.kernel = kernel;
    this.hostOf = new Int32Array(kernel.memory.pageCount);
    this.indexOf = new Int32Array(kernel.memory.pageCount);
  }

  /** The machine page stands for the host's frame from now on. */
  bind(page: number, pfn: number): void {
    if (pfn < 0 || pfn > MOST_PFN) return;
    const old = this.hostOf[page] ?? 0;
    if (old !== 0 && this.machineOf.get(old - 1) === page + 1) this.machineOf.set(old - 1, 0);
    this.machineOf.set(pfn, page + 1);
    this.hostOf[page] = pfn + 1;
    this.indexOf[page] = this.indexNow(page);
  }

  /** Binds what the process maps from `vpn` on to a block of frames. */
  bindBlock(mm: Mm, vpn: number, pfn: number, count: number): void {
    for (let i = 0; i < count; i += 1) {
      const page = anonymousPageAt(this.kernel, mm, vpn + i);
      if (page !== NO_PAGE) this.bind(page, pfn + i);
    }
  }

  /** Machine page that stands for a frame and is mapped, or `NO_PAGE`. */
  find(pfn: number): number {
    if (pfn < 0 || pfn > MOST_PFN) return NO_PAGE;
    const page = this.machineOf.get(pfn) - 1;
    if (page < 0 || !this.isKnown(page)) return NO_PAGE;
    return this.mapcount(page) > 0 ? page : NO_PAGE;
  }

  /** Whether the frame that a machine page stands for is known. */
  isKnown(page: number): boolean {
    const pfn = (this.hostOf[page] ?? 0) - 1;
    if (pfn < 0 || this.machineOf.get(pfn) !== page + 1) return false;
    return (this.indexOf[page] ?? 0) === this.indexNow(page);
  }

  /** The frame of a machine page is not known any more. */
  unbind(page: number): void {
    const pfn = (this.hostOf[page] ?? 0) - 1;
    if (pfn >= 0) this.forget(pfn);
    this.hostOf[page] = 0;
  }

  /** The host freed a frame. */
  forget(pfn: number): void {
    if (pfn < 0 || pfn > MOST_PFN) return;
    const page = this.machineOf.get(pfn) - 1;
    if (page < 0) return;
    this.machineOf.set(pfn, 0);
    if ((this.hostOf[page] ?? 0) === pfn + 1) this.hostOf[page] = 0;
  }

  /** The host moved the content of a frame to another one. */
  move(from: number, to: number): void {
    const page = this.find(from);
    if (page !== NO_PAGE) this.bind(page, to);
  }

  /** Every place where the machine maps a page. */
  placesOf(page: number): PagePlace[] {
    const { kernel } = this;
    const places: PagePlace[] = [];
    for (const { vma, vpn } of runToEnd(findMappers(kernel, kernel.memory.folioOf(page), page))) {
      const pid = this.pidOf(vma.mm);
      if (pid !== undefined) places.push({ pid, vpn });
    }
    return places;
  }

  private pidOf(mm: Mm): number | undefined {
    const { processes } = this.kernel;
    const known = this.pidOfMm.get(mm);
    if (known !== undefined && processes.get(known)?.mm === mm) return known;
    this.pidOfMm.clear();
    for (const process of processes.values()) this.pidOfMm.set(process.mm, process.id);
    return this.pidOfMm.get(mm);
  }

  private mapcount(page: number): number {
    return folioPrecisePageMapcount(this.kernel, this.kernel.memory.folioOf(page), page);
  }

  private indexNow(page: number): number {
    const { memory } = this.kernel;
    const head = memory.folioOf(page);
    return ((memory.index[head] ?? NIL) + (page - head)) | 0;
  }
}
