import { EINVAL } from '../errno.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { Mm } from '../vm/mm.js';
import { unmapRangeAndUnlock } from '../vm/unmap.js';
import { mmapWriteLock, mmapWriteUnlock } from '../vm/vma_lock.js';

/** Unmaps a range (spec 97 §1.3). Returns 0 or a negative errno. @kernel __vm_munmap */
export function* doMunmap(kernel: Kernel, mm: Mm, at: number, lengthPages: number): Op<number> {
  if (lengthPages <= 0) return -EINVAL;
  yield* mmapWriteLock(mm);
  const failed = yield* unmapRangeAndUnlock(kernel, mm, at, at + lengthPages);
  if (failed !== 0) yield* mmapWriteUnlock(mm);
  return failed;
}
