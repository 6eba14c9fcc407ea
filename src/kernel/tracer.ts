import type { Mm } from './vm/mm.js';

/** Events of the kernel layer that queries listen to. All page numbers are absolute. */
export interface Tracer {
  /**
   * A write (or unshare) fault replaced the page at `vpn` by a private copy. `oldMapcount` is the
   * mapcount before the copy; a zero-page or page-cache source has `oldPfn` of that page.
   */
  pageCopied?(mm: Mm, vpn: number, oldPfn: number, newPfn: number, oldMapcount: number): void;
  /** A write fault made a formerly shared page exclusive without copying. */
  pageReused?(mm: Mm, vpn: number, pfn: number): void;
  /** fork finished copying page tables; `copiedEntries` counts entries put into the child. */
  forked?(parent: Mm, child: Mm, copiedEntries: number): void;
  /** A present page is about to be unmapped by zap (munmap, exit, dontneed, truncate). */
  pageZapped?(mm: Mm, vpn: number, pfn: number, mapcountBefore: number): void;
}
