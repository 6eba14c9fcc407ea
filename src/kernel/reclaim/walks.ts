import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { TlbBatch } from '../rmap/tlb_batch.js';

export interface FolioUse {
  readonly referenced: number;
  readonly vmFlags: number;
}

export function* folioReferenced(
  _kernel: Kernel,
  head: number,
  _isLocked: boolean,
  _memcg: number,
): Op<FolioUse> {
  fail(`the use of folio ${head} is asked for, which is not written yet`);
}

export function* tryToUnmap(
  _kernel: Kernel,
  head: number,
  _flags: number,
  _batch: TlbBatch,
): Op<void> {
  fail(`folio ${head} is unmapped, which is not written yet`);
}
