import { NIL, PMD_ORDER } from '../base/units.js';
import type { Kernel } from '../kernel/kernel.js';
import { runToEnd } from '../kernel/op/prims.js';
import { folioPrecisePageMapcount } from '../kernel/phys/folio.js';
import { type MapperVisitor, visitMappers } from '../kernel/rmap/visit_mappers.js';
import type { Mm } from '../kernel/vm/mm.js';
import { anonymousPageAt, NO_PAGE } from './mapped_page.js';
import { PagePairs } from './page_pairs.js';
import { MOST_PFN } from './pfn_table.js';

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
  /**
   * The note is the index of the machine page when it was bound: a page that was used again since
   * has another.
   */
  private readonly pairs = new PagePairs();
  private readonly pidOfMm = new Map<Mm, number>();

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  /** The machine page stands for the host's frame from now on. */
  bind(page: number, pfn: number): void {
    if (pfn < 0 || pfn > MOST_PFN) return;
    this.pairs.pair(page, pfn);
    this.pairs.setNote(page, this.indexNow(page));
  }

  /** Pages that a snapshot lists follow; the machine stands still meanwhile. */
  beginListed(): void {
    this.pairs.beginRound();
  }

  /** Whether no frame was listed with two pages since `beginListed`. */
  areListedApart(): boolean {
    return this.pairs.isRoundWhole();
  }

  /**
   * Binds a page that a snapshot lists. Returns whether the page was listed with no other frame
   * before; of the frame says `areListedApart`.
   */
  bindListed(page: number, pfn: number): boolean {
    if (pfn < 0 || pfn > MOST_PFN) return false;
    const { pairs } = this;
    const isNew = !pairs.isOfRound(page);
    const isSame = pairs.pairInRound(page, pfn);
    if (isNew) pairs.setNote(page, this.indexNow(page));
    return isSame;
  }

  /**
   * Binds the block of 2^order pages around `vpn`, as far as the process maps them, to as many
   * frames. Returns the first page behind it.
   */
  bindBlock(mm: Mm, vpn: number, pfn: number, order: number): number {
    const count = 2 ** Math.min(order, PMD_ORDER);
    const first = vpn - (vpn % count);
    for (let i = 0; i < count; i += 1) {
      const page = anonymousPageAt(this.kernel, mm, first + i);
      if (page !== NO_PAGE) this.bind(page, pfn + i);
    }
    return first + count;
  }

  /** Machine page that stands for a frame and is mapped, or `NO_PAGE`. */
  find(pfn: number): number {
    if (pfn < 0 || pfn > MOST_PFN) return NO_PAGE;
    const page = this.pairs.lastPageAt(pfn);
    // Most frames that are asked for are being freed: the mapcount alone says so.
    if (page === NO_PAGE || this.mapcount(page) === 0) return NO_PAGE;
    return this.pairs.pageAt(pfn) === page && this.isNotUsedAgain(page) ? page : NO_PAGE;
  }

  /** Whether the frame that a machine page stands for is known. */
  isKnown(page: number): boolean {
    return this.pairs.frameAt(page) >= 0 && this.isNotUsedAgain(page);
  }

  /** Whether a page that was bound is still at its place in its mapping. */
  private isNotUsedAgain(page: number): boolean {
    return this.pairs.noteAt(page) === this.indexNow(page);
  }

  /** The frame of a machine page is not known any more. */
  unbind(page: number): void {
    const pfn = this.pairs.frameAt(page);
    if (pfn >= 0) this.pairs.dropFrame(pfn);
  }

  /** The host freed a frame. */
  forget(pfn: number): void {
    if (pfn >= 0 && pfn <= MOST_PFN) this.pairs.dropFrame(pfn);
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
    const add: MapperVisitor = (vma, vpn) => {
      const pid = this.pidOf(vma.mm);
      if (pid !== undefined) places.push({ pid, vpn });
    };
    runToEnd(visitMappers(kernel, kernel.memory.folioOf(page), page, add));
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
