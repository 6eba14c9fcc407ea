import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { Vma } from '../vm/vma.js';

/** @kernel madvise_cold */
export function* madviseCold(_kernel: Kernel, _vma: Vma, start: number, _end: number): Op<number> {
  fail(`MADV_COLD at ${start} is not written yet`);
}

/** @kernel madvise_free_single_vma */
export function* madviseFree(_kernel: Kernel, _vma: Vma, start: number, _end: number): Op<number> {
  fail(`MADV_FREE at ${start} is not written yet`);
}

/** @kernel madvise_pageout */
export function* madvisePageout(
  _kernel: Kernel,
  _vma: Vma,
  start: number,
  _end: number,
): Op<number> {
  fail(`MADV_PAGEOUT at ${start} is not written yet`);
}
