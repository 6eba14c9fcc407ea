import type { TlbBatch } from '../rmap/tlb_batch.js';

/** How a batch of folios is reclaimed. @kernel scan_control */
export interface ShrinkControl {
  /** Reclaim folios although they were used. */
  readonly ignoresReferences: boolean;
  /** Only use by mms of this control group counts; 0 = all. */
  readonly memcg: number;
}

/** Work of one batch; folios that a split makes join it. */
export interface ShrinkBatch {
  readonly control: ShrinkControl;
  readonly tlb: TlbBatch;
  /** Folios still to do, last first. */
  readonly pending: number[];
  /** Folios that keep living: to be put back. */
  readonly kept: number[];
}
