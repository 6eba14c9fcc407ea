import { NIL } from '../../base/units.js';
import { fail } from '../../base/errors.js';
import { ENOMEM } from '../errno.js';
import type { Kernel } from '../kernel.js';
import {
  downRead,
  downReadTrylock,
  downWrite,
  downWriteTrylock,
  fullBarrier,
  readPoint,
  updatePoint,
  upRead,
  upWrite,
  writePoint,
  type Op,
} from '../op/prims.js';
import { findVmaIndex } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import { VM_ACCESS_FLAGS, VM_MAYBE_GUARD, VM_SOFTDIRTY } from '../vm/vm_flags.js';
import { avcLink } from './anon_vma_chain.js';
import { AnonVma } from './anon_vma_types.js';

/** Flags in which a lender may differ from the borrower of its anon_vma (spec 10 §3.1, 97 §3.3). */
const LENDING_IGNORES = VM_ACCESS_FLAGS | VM_SOFTDIRTY | VM_MAYBE_GUARD;

/**
 * A fresh anon_vma: refcount 1, own root and parent, no children counted yet, tree empty.
 * Undefined when memory is short. @kernel anon_vma_alloc
 */
export function anonVmaAlloc(kernel: Kernel): AnonVma | undefined {
  if (kernel.allocationFails()) return undefined;
  const id = kernel.freeAnonVmaIds.pop();
  const anonVma = id === undefined ? new AnonVma(kernel.anonVmas.length) : kernel.anonVmas[id];
  if (id === undefined) kernel.anonVmas.push(anonVma);
  if (anonVma.refcount !== 0 || anonVma.tree.root !== NIL) {
    fail(`anon_vma ${anonVma.id} is handed out while in use`);
  }
  anonVma.refcount = 1;
  anonVma.childCount = 0;
  anonVma.activeVmaCount = 0;
  anonVma.root = anonVma;
  anonVma.parent = anonVma;
  return anonVma;
}

/** Keeps a live anon_vma for one more holder. @kernel get_anon_vma */
export function* getAnonVma(anonVma: AnonVma): Op<void> {
  yield* updatePoint('anon_vma.refcount', anonVma.id);
  anonVma.refcount += 1;
}

/**
 * Drops one holder. The last one frees it, and then drops its hold on the root; so the root's lock
 * must not be held. @kernel put_anon_vma
 */
export function* putAnonVma(kernel: Kernel, anonVma: AnonVma): Op<void> {
  yield* updatePoint('anon_vma.refcount', anonVma.id);
  anonVma.refcount -= 1;
  if (anonVma.refcount === 0) yield* freeLastAnonVma(kernel, anonVma);
  else if (anonVma.refcount < 0) fail(`anon_vma ${anonVma.id} is put once too often`);
}

/** @kernel __put_anon_vma */
export function* freeLastAnonVma(kernel: Kernel, anonVma: AnonVma): Op<void> {
  const { root } = anonVma;
  yield* anonVmaFree(kernel, anonVma);
  if (root === anonVma) return;
  yield* updatePoint('anon_vma.refcount', root.id);
  root.refcount -= 1;
  if (root.refcount === 0) yield* anonVmaFree(kernel, root);
}

/**
 * Gives the object back for the next allocation; stale readers may still look at it. A reader that
 * got the root's lock without a reference is waited out first (spec 10 §2). @kernel anon_vma_free
 */
function* anonVmaFree(kernel: Kernel, anonVma: AnonVma): Op<void> {
  if (anonVma.tree.root !== NIL) fail(`anon_vma ${anonVma.id} is freed with VMAs on its tree`);
  const { rwsem } = anonVma.root;
  yield* fullBarrier();
  yield* readPoint('anon_vma.rwsem', anonVma.root.id);
  if (rwsem.readers !== 0 || rwsem.writers !== 0) {
    yield* downWrite(rwsem);
    yield* upWrite(rwsem);
  }
  kernel.freeAnonVmaIds.push(anonVma.id);
}

/** @kernel anon_vma_lock_write */
export function* anonVmaLockWrite(anonVma: AnonVma): Op<void> {
  yield* downWrite(anonVma.root.rwsem);
}

/** Returns whether the lock was free. @kernel anon_vma_trylock_write */
export function* anonVmaTrylockWrite(anonVma: AnonVma): Op<boolean> {
  return yield* downWriteTrylock(anonVma.root.rwsem);
}

/** @kernel anon_vma_unlock_write */
export function* anonVmaUnlockWrite(anonVma: AnonVma): Op<void> {
  yield* upWrite(anonVma.root.rwsem);
}

/** @kernel anon_vma_lock_read */
export function* anonVmaLockRead(anonVma: AnonVma): Op<void> {
  yield* downRead(anonVma.root.rwsem);
}

/** Returns whether no writer was inside. @kernel anon_vma_trylock_read */
export function* anonVmaTrylockRead(anonVma: AnonVma): Op<boolean> {
  return yield* downReadTrylock(anonVma.root.rwsem);
}

/** @kernel anon_vma_unlock_read */
export function* anonVmaUnlockRead(anonVma: AnonVma): Op<void> {
  yield* upRead(anonVma.root.rwsem);
}

/**
 * Gives the VMA an anon_vma before an anonymous page is put into it; nothing to do if it has one.
 * The mmap lock is held, in either mode. Returns 0 or -ENOMEM. @kernel anon_vma_prepare
 */
export function* anonVmaPrepare(kernel: Kernel, vma: Vma): Op<number> {
  yield* readPoint('vma.anon_vma', vma.start);
  if (vma.anonVma !== undefined) return 0;
  return yield* anonVmaPrepareSlow(kernel, vma);
}

/** Borrows a neighbour's anon_vma or makes a new root (spec 10 §3). @kernel __anon_vma_prepare */
function* anonVmaPrepareSlow(kernel: Kernel, vma: Vma): Op<number> {
  // The failure of the AVC's allocation; the object is made where it is linked.
  if (kernel.allocationFails()) return -ENOMEM;
  let unused: AnonVma | undefined;
  let anonVma = findMergeableAnonVma(vma);
  if (anonVma === undefined) {
    unused = anonVmaAlloc(kernel);
    if (unused === undefined) return -ENOMEM;
    unused.childCount = 1;
    anonVma = unused;
  }
  yield* anonVmaLockWrite(anonVma);
  yield* downWrite(vma.mm.pageTableLock);
  // Another thread's fault may have been faster.
  if (vma.anonVma === undefined) {
    yield* writePoint('vma.anon_vma', vma.start);
    vma.anonVma = anonVma;
    avcLink(kernel, vma, anonVma);
    anonVma.activeVmaCount += 1;
    unused = undefined;
  }
  yield* upWrite(vma.mm.pageTableLock);
  yield* anonVmaUnlockWrite(anonVma);
  if (unused !== undefined) yield* putAnonVma(kernel, unused);
  return 0;
}

/**
 * The anon_vma of an adjacent VMA that this one may later merge with, so that they share it: the
 * right neighbour is asked first. @kernel find_mergeable_anon_vma
 */
export function findMergeableAnonVma(vma: Vma): AnonVma | undefined {
  const { vmas } = vma.mm;
  const index = findVmaIndex(vma.mm, vma.start);
  const next = vmas[index + 1];
  const lent = next === undefined ? undefined : reusableAnonVma(next, vma, next);
  if (lent !== undefined) return lent;
  const previous = vmas[index - 1];
  return previous === undefined ? undefined : reusableAnonVma(previous, previous, vma);
}

/** Lender's anon_vma if `lower` and `upper` are alike and adjacent. @kernel reusable_anon_vma */
function reusableAnonVma(lender: Vma, lower: Vma, upper: Vma): AnonVma | undefined {
  if (lower.end !== upper.start || lower.file !== upper.file) return undefined;
  if (((lower.flags ^ upper.flags) & ~LENDING_IGNORES) !== 0) return undefined;
  if (upper.pgoff !== lower.pgoff + (lower.end - lower.start)) return undefined;
  // A VMA that came through fork never lends: others may see its pages through longer chains.
  return lender.anonVmaChain.length === 1 ? lender.anonVma : undefined;
}
