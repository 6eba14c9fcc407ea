import { mmPopulate } from '../fault/populate.js';
import type { Kernel } from '../kernel.js';
import { downRead, upRead, type Op } from '../op/prims.js';
import type { Mm } from '../vm/mm.js';

/**
 * Makes a range resident after the call that mapped or locked it has let go of the mmap lock.
 * Returns 0 or the first error that is not ignored.
 */
export function* populateUnlocked(
  kernel: Kernel,
  mm: Mm,
  start: number,
  end: number,
  ignoreErrors: boolean,
): Op<number> {
  yield* downRead(mm.mmapLock);
  const result = yield* mmPopulate(kernel, mm, start, end, ignoreErrors);
  yield* upRead(mm.mmapLock);
  return result;
}
