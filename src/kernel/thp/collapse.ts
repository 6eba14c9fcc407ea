import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { Mm } from '../vm/mm.js';

/** MADV_COLLAPSE of [start, end): 0 or a negative errno. @kernel madvise_collapse */
export function* madviseCollapse(
  _kernel: Kernel,
  _mm: Mm,
  start: number,
  _end: number,
): Op<number> {
  fail(`collapse at page ${start} is not written yet`);
}

/** One pass of khugepaged over an mm; returns the number of collapsed blocks. @kernel khugepaged */
export function* khugepagedScan(_kernel: Kernel, mm: Mm): Op<number> {
  fail(`khugepaged on mm ${mm.id} is not written yet`);
}
