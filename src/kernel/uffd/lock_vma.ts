import { ENOENT, ENOMEM } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { downRead, upRead, type Op } from '../op/prims.js';
import { anonVmaPrepare } from '../rmap/anon_vma.js';
import { findVma, type Mm } from '../vm/mm.js';
import { lockVmaUnderRcu, vmaEndRead, vmaStartReadLocked } from '../vm/vma_lock.js';
import type { Vma } from '../vm/vma.js';
import { VM_SHARED } from '../vm/vm_flags.js';

/**
 * Finds the VMA that a userfaultfd call puts pages into, and locks it for reading; the caller lets
 * it go with `vmaEndRead`. A private one has an anon_vma then, whatever the call says of the range
 * later. Returns -ENOENT where nothing is mapped, or -ENOMEM. @kernel uffd_lock_vma
 */
export function* uffdLockVma(kernel: Kernel, mm: Mm, vpn: number): Op<Vma | number> {
  const vma = yield* lockPreparedVma(mm, vpn);
  if (vma !== undefined) return vma;
  yield* downRead(mm.mmapLock);
  const result = yield* findVmaAndPrepareAnon(kernel, mm, vpn);
  if (typeof result !== 'number') yield* vmaStartReadLocked(result);
  yield* upRead(mm.mmapLock);
  return result;
}

/** The two VMAs of a move, both locked for reading. */
export interface MoveVmas {
  readonly target: Vma;
  readonly source: Vma;
}

/**
 * Locks the VMA that pages are moved to as `uffdLockVma` does, and the one that they come from.
 * @kernel uffd_move_lock
 */
export function* uffdMoveLock(
  kernel: Kernel,
  mm: Mm,
  to: number,
  from: number,
): Op<MoveVmas | number> {
  const target = yield* lockPreparedVma(mm, to);
  if (target !== undefined) {
    const source = yield* lockVmaUnderRcu(mm, from);
    if (source !== undefined) return { target, source };
    // Who waits for the mmap lock must hold no VMA: the writer inside may be waiting for it.
    yield* vmaEndRead(target);
  }
  yield* downRead(mm.mmapLock);
  const result = yield* findMoveVmas(kernel, mm, to, from);
  if (typeof result !== 'number') {
    yield* vmaStartReadLocked(result.target);
    yield* vmaStartReadLocked(result.source);
  }
  yield* upRead(mm.mmapLock);
  return result;
}

/** The VMA if it can be locked and needs no anon_vma, which is made under the mmap lock only. */
function* lockPreparedVma(mm: Mm, vpn: number): Op<Vma | undefined> {
  const vma = yield* lockVmaUnderRcu(mm, vpn);
  if (vma === undefined || (vma.flags & VM_SHARED) !== 0 || vma.anonVma !== undefined) return vma;
  yield* vmaEndRead(vma);
  return undefined;
}

/** @kernel find_vma_and_prepare_anon */
function* findVmaAndPrepareAnon(kernel: Kernel, mm: Mm, vpn: number): Op<Vma | number> {
  const vma = findVma(mm, vpn);
  if (vma === undefined) return -ENOENT;
  if ((vma.flags & VM_SHARED) !== 0) return vma;
  return (yield* anonVmaPrepare(kernel, vma)) === 0 ? vma : -ENOMEM;
}

/** @kernel find_vmas_mm_locked */
function* findMoveVmas(kernel: Kernel, mm: Mm, to: number, from: number): Op<MoveVmas | number> {
  const target = yield* findVmaAndPrepareAnon(kernel, mm, to);
  if (typeof target === 'number') return target;
  const source = findVma(mm, from);
  return source === undefined ? -ENOENT : { target, source };
}
