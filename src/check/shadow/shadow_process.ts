import type { ShadowPage, Watcher } from './shadow_page.js';

/** Pages of an address space that processes share, by page number as operations count. */
export class ShadowMm {
  readonly pages = new Map<number, ShadowPage>();
  brk = 0;
}

/** A page that a device reads: it must hold what the process that pinned it sees. */
export interface PinnedPage {
  readonly page: ShadowPage;
  readonly generation: number;
}

/** A process: descriptors are inherited by fork, memory is copied. */
export class ShadowProcess {
  mm: ShadowMm;
  readonly pipes: Map<number, Watcher[]>;
  readonly rings: Map<number, PinnedPage[]>;

  constructor(mm: ShadowMm, parent?: ShadowProcess) {
    this.mm = mm;
    this.pipes = new Map(parent?.pipes);
    this.rings = new Map(parent?.rings);
  }
}
