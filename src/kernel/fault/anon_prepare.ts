import type { Kernel } from '../kernel.js';
import { downReadTrylock, upRead, type Op } from '../op/prims.js';
import { anonVmaPrepare } from '../rmap/anon_vma.js';
import type { Vma } from '../vm/vma.js';
import { FAULT_VMA_LOCK, VM_FAULT_OOM, VM_FAULT_RETRY } from './fault_flags.js';

/**
 * Gives the VMA of a fault an anon_vma. That looks at neighbours, which the lock of one VMA does
 * not hold still, so the mmap lock is tried too (spec 10 §3). Returns 0, VM_FAULT_OOM, or
 * VM_FAULT_RETRY: the fault must begin again with the mmap lock. @kernel vmf_anon_prepare
 */
export function* vmfAnonPrepare(kernel: Kernel, vma: Vma, faultFlags: number): Op<number> {
  if (vma.anonVma !== undefined) return 0;
  const { mmapLock } = vma.mm;
  const isVmaLocked = (faultFlags & FAULT_VMA_LOCK) !== 0;
  if (isVmaLocked && !(yield* downReadTrylock(mmapLock))) return VM_FAULT_RETRY;
  const failed = yield* anonVmaPrepare(kernel, vma);
  if (isVmaLocked) yield* upRead(mmapLock);
  return failed === 0 ? 0 : VM_FAULT_OOM;
}
