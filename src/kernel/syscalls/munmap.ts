import { EINVAL } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { downWrite, upWrite, type Op } from '../op/prims.js';
import type { Mm } from '../vm/mm.js';
import { unmapRange } from '../vm/unmap.js';

/** Unmaps a range (spec 97 §1.3). Returns 0 or a negative errno. @kernel __vm_munmap */
export function* doMunmap(kernel: Kernel, mm: Mm, at: number, lengthPages: number): Op<number> {
  if (lengthPages <= 0) return -EINVAL;
  yield* downWrite(mm.mmapLock);
  const result = yield* unmapRange(kernel, mm, at, at + lengthPages);
  yield* upWrite(mm.mmapLock);
  return result;
}
