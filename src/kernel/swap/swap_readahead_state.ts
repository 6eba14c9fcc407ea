import type { Vma } from '../vm/vma.js';

/** What readahead remembers of a VMA. @kernel swap_readahead_info */
export interface ReadaheadInfo {
  /** Page of the last fault or hit. */
  vpn: number;
  /** Pages of the last window. */
  windowPages: number;
  /** Readahead pages that were used since. */
  hits: number;
}

/** Readahead state of VMAs and which cached folios nobody has asked for yet. */
export class SwapReadahead {
  readonly infoOf = new WeakMap<Vma, ReadaheadInfo>();
  /** Head pfns that were read ahead and not used yet. @kernel PG_readahead */
  readonly unused = new Set<number>();
}
