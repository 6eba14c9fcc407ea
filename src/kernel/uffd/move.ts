import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { Mm } from '../vm/mm.js';

/**
 * UFFDIO_MOVE: moves exclusive anonymous pages to empty places of the same address space
 * (spec 98 §8.2). Returns 0 or a negative errno; -EAGAIN if only some pages could be moved.
 * @kernel move_pages
 */
export function* uffdioMove(
  _kernel: Kernel,
  _mm: Mm,
  at: number,
  lengthPages: number,
  _to: number,
  _allowHoles: boolean,
): Op<number> {
  fail(`moving ${lengthPages} pages from ${at} is not written yet`);
}
