import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { findVmaIndex, type Mm } from '../vm/mm.js';
import { VM_UFFD_MISSING } from '../vm/vm_flags.js';
import { isUffdArmed } from './context.js';
import { uffdioMove } from './move.js';
import { uffdRegister, uffdUnregister } from './register.js';

/**
 * What a program does to move pages: UFFDIO_MOVE wants its destination registered, so a range that
 * is not gets registered for missing pages before and released afterwards. That splits and merges
 * VMAs. Returns 0 or a negative errno.
 */
export function* moveOnce(
  kernel: Kernel,
  mm: Mm,
  at: number,
  lengthPages: number,
  to: number,
  allowHoles: boolean,
): Op<number> {
  if (isRegistered(mm, to, to + lengthPages)) {
    return yield* uffdioMove(kernel, mm, at, lengthPages, to, allowHoles);
  }
  const context = mm.uffd;
  const failed = yield* uffdRegister(kernel, mm, to, lengthPages, VM_UFFD_MISSING, undefined);
  if (failed !== 0) return failed;
  const result = yield* uffdioMove(kernel, mm, at, lengthPages, to, allowHoles);
  yield* uffdUnregister(kernel, mm, to, lengthPages);
  mm.uffd = context;
  return result;
}

function isRegistered(mm: Mm, start: number, end: number): boolean {
  let index = findVmaIndex(mm, start);
  for (; index < mm.vmas.length && mm.vmas[index].start < end; index += 1) {
    if (isUffdArmed(mm.vmas[index])) return true;
  }
  return false;
}
