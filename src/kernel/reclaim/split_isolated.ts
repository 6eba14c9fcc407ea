import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { splitFolio } from '../thp/split.js';

/**
 * Splits an isolated folio to small ones, all isolated; all but the first go to `pending`, whose
 * end is taken first. False if somebody else holds the folio. @kernel split_folio_to_list
 */
export function* splitIsolated(kernel: Kernel, head: number, pending: number[]): Op<boolean> {
  return (yield* splitFolio(kernel, head, head, pending)) === 0;
}
