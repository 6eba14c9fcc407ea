import { EACCES, ENOMEM } from '../errno.js';
import { changeProtection } from '../fault/change_protection.js';
import { mmPopulate } from '../fault/populate.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { findVma, type Mm } from '../vm/mm.js';
import { vmStatAccount } from '../vm/vm_stat.js';
import { mmapWriteLock, mmapWriteUnlock } from '../vm/vma_lock.js';
import { modifyVmaFlags } from '../vm/vma_modify.js';
import { isAnonymous, type Vma } from '../vm/vma.js';
import {
  VM_ACCESS_FLAGS,
  VM_ACCOUNT,
  VM_HUGETLB,
  VM_LOCKED,
  VM_NORESERVE,
  VM_SHARED,
  VM_WRITE,
} from '../vm/vm_flags.js';

/** A `VM_MAY*` bit is this far above the access bit that it permits. */
const MAY_SHIFT = 4;

/**
 * Changes the protection of a range to the `VM_READ`, `VM_WRITE`, `VM_EXEC` bits `prot`
 * (spec 97 §1.3). Returns 0 or a negative errno; VMAs before a hole are changed all the same.
 * @kernel do_mprotect_pkey
 */
export function* doMprotect(
  kernel: Kernel,
  mm: Mm,
  at: number,
  lengthPages: number,
  prot: number,
): Op<number> {
  if (lengthPages <= 0) return 0;
  yield* mmapWriteLock(mm);
  const result = yield* protectRange(kernel, mm, at, at + lengthPages, prot);
  yield* mmapWriteUnlock(mm);
  return result;
}

function* protectRange(
  kernel: Kernel,
  mm: Mm,
  start: number,
  end: number,
  prot: number,
): Op<number> {
  let at = start;
  while (at < end) {
    const vma = findVma(mm, at);
    if (vma === undefined) return -ENOMEM;
    if ((prot & ~(vma.flags >> MAY_SHIFT) & VM_ACCESS_FLAGS) !== 0) return -EACCES;
    const stop = Math.min(vma.end, end);
    const failed = yield* protectVma(kernel, vma, at, stop, prot);
    if (failed !== 0) return failed;
    at = stop;
  }
  return 0;
}

/** @kernel mprotect_fixup */
function* protectVma(
  kernel: Kernel,
  vma: Vma,
  start: number,
  end: number,
  prot: number,
): Op<number> {
  const oldFlags = vma.flags;
  // Nothing at all happens then: accounting stays as it is too.
  if ((oldFlags & VM_ACCESS_FLAGS) === prot) return 0;
  const newFlags = protectedFlags(vma, prot);
  const changed = yield* modifyVmaFlags(kernel, vma, start, end, newFlags);
  if (typeof changed === 'number') return changed;
  vmStatAccount(vma.mm, oldFlags, start - end);
  vmStatAccount(vma.mm, newFlags, end - start);
  yield* pageTablesSettled(vma.mm);
  changeProtection(kernel, changed, start, end, newFlags);
  // What a locked VMA may write must be resident for writing.
  const wasReadOnlyLocked = (oldFlags & (VM_WRITE | VM_SHARED | VM_LOCKED)) === VM_LOCKED;
  if (wasReadOnlyLocked && (newFlags & VM_WRITE) !== 0) {
    yield* mmPopulate(kernel, vma.mm, start, end);
  }
  return 0;
}

/** New flags of the VMA; memory that can become private copies is accounted (spec 97 §2, `ac`). */
function protectedFlags(vma: Vma, prot: number): number {
  let flags = (vma.flags & ~VM_ACCESS_FLAGS) | prot;
  if ((prot & VM_WRITE) !== 0) {
    const settled = VM_ACCOUNT | VM_WRITE | VM_HUGETLB | VM_SHARED | VM_NORESERVE;
    if ((vma.flags & settled) === 0) flags |= VM_ACCOUNT;
  } else if (isAnonymous(vma) && vma.anonVma === undefined) {
    flags &= ~VM_ACCOUNT;
  }
  return flags;
}
