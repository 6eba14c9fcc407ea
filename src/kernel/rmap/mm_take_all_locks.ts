/**
 * Every lock that a reverse-map walk could hold to reach an mm, taken at once (spec 40 §11).
 * VMAs share mappings and anon_vma roots, so each lock is marked when it is taken. VMAs themselves
 * are let go with the mmap lock.
 */
import { fail } from '../../base/errors.js';
import { downWrite, upWrite, type Op, type RwSem } from '../op/prims.js';
import type { AddressSpace } from '../vm/address_space.js';
import type { Mm } from '../vm/mm.js';
import { vmaStartWrite } from '../vm/vma_lock.js';
import type { AnonVma } from './anon_vma_types.js';

/**
 * Locks all VMAs of the mm, then everything that a walk to any of them would lock: hugetlb
 * mappings, other mappings, anon_vma roots. The mmap lock is held for write. Returns false, with no
 * mapping or anon_vma held, if a signal interrupted. @kernel mm_take_all_locks
 */
export function* mmTakeAllLocks(mm: Mm, mutex: RwSem, isSignalled: () => boolean): Op<boolean> {
  if (mm.mmapLock.writers === 0) fail(`all locks of mm ${mm.id} are taken without its mmap lock`);
  yield* downWrite(mutex);
  for (const vma of mm.vmas) {
    if (isSignalled()) return yield* giveUp(mm, mutex);
    yield* vmaStartWrite(vma);
  }
  for (const hugetlbFirst of [true, false]) {
    for (const { file } of mm.vmas) {
      if (isSignalled()) return yield* giveUp(mm, mutex);
      if (file === undefined || (file.mapping.kind === 'hugetlb') !== hugetlbFirst) continue;
      yield* lockMapping(file.mapping);
    }
  }
  for (const vma of mm.vmas) {
    if (isSignalled()) return yield* giveUp(mm, mutex);
    for (const avc of vma.anonVmaChain) yield* lockRoot(avc.anonVma.root);
  }
  return true;
}

/** Releases what `mmTakeAllLocks` took. @kernel mm_drop_all_locks */
export function* mmDropAllLocks(mm: Mm, mutex: RwSem): Op<void> {
  for (const vma of mm.vmas) {
    for (const avc of vma.anonVmaChain) yield* unlockRoot(avc.anonVma.root);
    if (vma.file !== undefined) yield* unlockMapping(vma.file.mapping);
  }
  yield* upWrite(mutex);
}

function* giveUp(mm: Mm, mutex: RwSem): Op<false> {
  yield* mmDropAllLocks(mm, mutex);
  return false;
}

/** @kernel vm_lock_mapping */
function* lockMapping(mapping: AddressSpace): Op<void> {
  if (mapping.lockedByAll) return;
  mapping.lockedByAll = true;
  yield* downWrite(mapping.iMmapRwsem);
}

/** @kernel vm_lock_anon_vma */
function* lockRoot(root: AnonVma): Op<void> {
  if (root.lockedByAll) return;
  yield* downWrite(root.rwsem);
  // The kernel marks bit 0 of the tree's root pointer, which only the lock's holder may change.
  root.lockedByAll = true;
}

/** @kernel vm_unlock_mapping */
function* unlockMapping(mapping: AddressSpace): Op<void> {
  if (!mapping.lockedByAll) return;
  mapping.lockedByAll = false;
  yield* upWrite(mapping.iMmapRwsem);
}

/** The mark goes before the lock, or the next holder would see it. @kernel vm_unlock_anon_vma */
function* unlockRoot(root: AnonVma): Op<void> {
  if (!root.lockedByAll) return;
  root.lockedByAll = false;
  yield* upWrite(root.rwsem);
}
