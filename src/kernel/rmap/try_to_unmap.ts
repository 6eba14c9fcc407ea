import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';

/** Removes all mappings of the folio (spec 40 §5). @kernel try_to_unmap */
export function* tryToUnmap(_kernel: Kernel, head: number, _flags: number): Op<void> {
  fail(`folio ${head} is unmapped, which is not written yet`);
}
