import { ENOENT, ENOMEM } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { downRead, upRead, type Op } from '../op/prims.js';
import { anonVmaPrepare } from '../rmap/anon_vma.js';
import { findVma, type Mm } from '../vm/mm.js';
import { lockVmaUnderRcu, vmaEndRead, vmaStartReadLocked } from '../vm/vma_lock.js';
import type { Vma } from '../vm/vma.js';
import { VM_SHARED } from '../vm/vm_flags.js';

/**
 * Finds the VMA whose pages a userfaultfd call is to change, and locks it for reading; the caller
 * lets it go with `vmaEndRead`. A private one that will get pages has an anon_vma then, whatever
 * the call says of the range later. Returns -ENOENT where nothing is mapped, or -ENOMEM.
 * @kernel uffd_lock_vma
 */
export function* uffdLockVma(
  kernel: Kernel,
  mm: Mm,
  vpn: number,
  getsPages: boolean,
): Op<Vma | number> {
  const vma = yield* lockVmaUnderRcu(mm, vpn);
  if (vma !== undefined) {
    if (!getsPages || (vma.flags & VM_SHARED) !== 0 || vma.anonVma !== undefined) return vma;
    // An anon_vma is made under the mmap lock only.
    yield* vmaEndRead(vma);
  }
  yield* downRead(mm.mmapLock);
  const result = yield* findAndPrepare(kernel, mm, vpn, getsPages);
  if (typeof result !== 'number') yield* vmaStartReadLocked(result);
  yield* upRead(mm.mmapLock);
  return result;
}

/** @kernel find_vma_and_prepare_anon */
function* findAndPrepare(
  kernel: Kernel,
  mm: Mm,
  vpn: number,
  getsPages: boolean,
): Op<Vma | number> {
  const vma = findVma(mm, vpn);
  if (vma === undefined) return -ENOENT;
  if (!getsPages || (vma.flags & VM_SHARED) !== 0) return vma;
  return (yield* anonVmaPrepare(kernel, vma)) === 0 ? vma : -ENOMEM;
}
