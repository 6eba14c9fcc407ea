import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { Vma } from '../vm/vma.js';

/**
 * Gives every merged page of [start, end) back to its owner as a private copy (spec 98 §7.3); the
 * items stay until ksmd comes by. Returns 0 or a negative errno. @kernel unmerge_ksm_pages
 */
export function* unmergeKsmPages(
  kernel: Kernel,
  _vma: Vma,
  _start: number,
  _end: number,
): Op<number> {
  if (kernel.ksm.nodes.length > 1) fail('unmerging is not written yet');
  return 0;
}
