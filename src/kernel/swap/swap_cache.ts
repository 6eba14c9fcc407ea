import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';

/** @kernel folio_free_swap */
export function folioFreeSwap(_kernel: Kernel, head: number): boolean {
  fail(`folio ${head} is in the swap cache, which is not written yet`);
}

/** @kernel free_swap_and_cache_nr */
export function freeSwapAndCache(_kernel: Kernel, entry: number, _count: number): void {
  fail(`swap entry ${entry} is freed, which is not written yet`);
}

/** @kernel swap_duplicate */
export function swapDuplicate(_kernel: Kernel, entry: number): boolean {
  fail(`swap entry ${entry} is duplicated, which is not written yet`);
}
