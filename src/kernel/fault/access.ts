import { NIL } from '../../base/units.js';
import { EFAULT, EIO } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { downRead, upRead, type Op } from '../op/prims.js';
import { PG_DIRTY } from '../phys/page_flags.js';
import { PTE_DIRTY, PTE_PRESENT, PTE_PROTNONE, PTE_WRITE, PTE_YOUNG } from '../pgtable/pte.js';
import { findVma, findVmaIndex, type Mm } from '../vm/mm.js';
import { expandDownwards } from '../vm/stack_growth.js';
import { lockVmaUnderRcu, mmapWriteDowngrade, mmapWriteLock, vmaEndRead } from '../vm/vma_lock.js';
import type { Vma } from '../vm/vma.js';
import { VM_ACCESS_FLAGS, VM_GROWSDOWN, VM_WRITE } from '../vm/vm_flags.js';
import {
  FAULT_VMA_LOCK,
  FAULT_WRITE,
  VM_FAULT_ERROR,
  VM_FAULT_MAJOR,
  VM_FAULT_OOM,
  VM_FAULT_RETRY,
  VM_FAULT_SIGSEGV,
  VM_FAULT_USERFAULT,
} from './fault_flags.js';
import { FOLL_FORCE, FOLL_GET, FOLL_PIN, FOLL_TOUCH, FOLL_WRITE } from './gup_flags.js';
import { getUserPage } from './gup.js';
import { gupPutFolio } from './gup_grab.js';
import { handleMmFault } from './handle.js';

/** Faults that an access took. */
export interface FaultCounts {
  minor: number;
  major: number;
}

/** The signal that ended an access; `UFFD`: it waits for a userfaultfd handler. */
export type AccessSignal = 'SEGV' | 'BUS' | 'UFFD';

/** More faults than this for one access are a bug. */
const FAULT_LIMIT = 16;

/**
 * Entry through which the CPU may make the access now, or NIL if it faults.
 * Sets accessed and dirty bits as hardware does.
 */
function hardwareAccess(kernel: Kernel, mm: Mm, vpn: number, isWrite: boolean): number {
  const { pageTables } = kernel;
  const entry = pageTables.findLeaf(mm.pgd, vpn);
  if (entry === NIL) return NIL;
  const pte = pageTables.flags[entry];
  const wanted = isWrite ? PTE_PRESENT | PTE_WRITE : PTE_PRESENT;
  if ((pte & (wanted | PTE_PROTNONE)) !== wanted) return NIL;
  pageTables.flags[entry] = pte | (isWrite ? PTE_YOUNG | PTE_DIRTY : PTE_YOUNG);
  return entry;
}

/**
 * One user-mode access to a page, with the faults it takes. Returns the pfn, or the signal.
 * @kernel do_user_addr_fault
 */
export function* userAccess(
  kernel: Kernel,
  mm: Mm,
  vpn: number,
  isWrite: boolean,
  counts: FaultCounts,
): Op<number | AccessSignal> {
  for (let attempt = 0; attempt < FAULT_LIMIT; attempt += 1) {
    const entry = hardwareAccess(kernel, mm, vpn, isWrite);
    if (entry !== NIL) {
      const pfn = kernel.pageTables.pageOfLeaf(mm.pgd, entry, vpn);
      if (kernel.tlb !== undefined) kernel.tlb.remember(mm, vpn, pfn, isWrite);
      return pfn;
    }
    const result = yield* userFault(kernel, mm, vpn, isWrite);
    if ((result & VM_FAULT_ERROR) !== 0) {
      if ((result & VM_FAULT_USERFAULT) !== 0) return 'UFFD';
      return (result & (VM_FAULT_SIGSEGV | VM_FAULT_OOM)) !== 0 ? 'SEGV' : 'BUS';
    }
    if ((result & VM_FAULT_MAJOR) !== 0) counts.major += 1;
    else counts.minor += 1;
  }
  return 'BUS';
}

/**
 * One page-fault exception of user mode, under the lock of the VMA alone if that is possible: else
 * with the mmap lock, which a stack that grows needs too. Returns `VM_FAULT_*` bits.
 */
export function* userFault(kernel: Kernel, mm: Mm, vpn: number, isWrite: boolean): Op<number> {
  const vma = yield* lockVmaUnderRcu(mm, vpn);
  if (vma === undefined) return yield* faultWithMmapLock(kernel, mm, vpn, isWrite);
  let result = VM_FAULT_SIGSEGV;
  if ((vma.flags & (isWrite ? VM_WRITE : VM_ACCESS_FLAGS)) !== 0) {
    const faultFlags = isWrite ? FAULT_WRITE | FAULT_VMA_LOCK : FAULT_VMA_LOCK;
    result = yield* handleMmFault(kernel, vma, vpn, faultFlags);
  }
  yield* vmaEndRead(vma);
  if ((result & VM_FAULT_RETRY) === 0) return result;
  // What had to be read is there now, and counts.
  const major = result & VM_FAULT_MAJOR;
  return (yield* faultWithMmapLock(kernel, mm, vpn, isWrite)) | major;
}

function* faultWithMmapLock(kernel: Kernel, mm: Mm, vpn: number, isWrite: boolean): Op<number> {
  yield* downRead(mm.mmapLock);
  const vma = yield* findVmaOrGrow(kernel, mm, vpn);
  let result = VM_FAULT_SIGSEGV;
  if (vma !== undefined && (vma.flags & (isWrite ? VM_WRITE : VM_ACCESS_FLAGS)) !== 0) {
    result = yield* handleMmFault(kernel, vma, vpn, isWrite ? FAULT_WRITE : 0);
  }
  yield* upRead(mm.mmapLock);
  return result;
}

/**
 * The VMA of a page; a stack above it grows down to it. The mmap lock is held for reading; it is
 * let go and taken for write where a stack grows. @kernel expand_stack
 */
function* findVmaOrGrow(kernel: Kernel, mm: Mm, vpn: number): Op<Vma | undefined> {
  const vma = findVma(mm, vpn);
  if (vma !== undefined || stackAbove(mm, vpn) === undefined) return vma;
  yield* upRead(mm.mmapLock);
  yield* mmapWriteLock(mm);
  // Meanwhile another thread may have grown it, or unmapped it.
  let grown = findVma(mm, vpn);
  const stack = stackAbove(mm, vpn);
  if (grown === undefined && stack !== undefined) {
    if ((yield* expandDownwards(kernel, stack, vpn)) === 0) grown = stack;
  }
  yield* mmapWriteDowngrade(mm);
  return grown;
}

function stackAbove(mm: Mm, vpn: number): Vma | undefined {
  const above = mm.vmas[findVmaIndex(mm, vpn)];
  return above !== undefined && (above.flags & VM_GROWSDOWN) !== 0 ? above : undefined;
}

/**
 * Writes `value` to pages of another process through GUP, page by page, stopping at the first that
 * fails. Returns 0 or a negative errno; earlier pages are done (spec 97 §1.7).
 */
function* remoteWrite(
  kernel: Kernel,
  mm: Mm,
  vpn: number,
  count: number,
  value: number,
  flags: number,
  errno: number,
): Op<number> {
  const { memory } = kernel;
  yield* downRead(mm.mmapLock);
  let result = 0;
  for (let page = vpn; page < vpn + count; page += 1) {
    // Only /proc/PID/mem looks for the VMA itself, and a stack grows for that; pins do not.
    if ((flags & FOLL_FORCE) !== 0) yield* findVmaOrGrow(kernel, mm, page);
    const pfn = yield* getUserPage(kernel, mm, page, flags | FOLL_WRITE | FOLL_TOUCH);
    if (pfn < 0) {
      result = -errno;
      break;
    }
    const head = memory.folioOf(pfn);
    memory.content[pfn] = value;
    memory.flags[head] |= PG_DIRTY;
    gupPutFolio(kernel, head, 1, flags);
  }
  yield* upRead(mm.mmapLock);
  return result;
}

/** process_vm_writev into another process: pins, no force. */
export function* processVmWrite(
  kernel: Kernel,
  mm: Mm,
  vpn: number,
  count: number,
  value: number,
): Op<number> {
  return yield* remoteWrite(kernel, mm, vpn, count, value, FOLL_PIN, EFAULT);
}

/** A write to /proc/PID/mem by root: forced, and a stack grows for it. @kernel access_remote_vm */
export function* procMemWrite(
  kernel: Kernel,
  mm: Mm,
  vpn: number,
  count: number,
  value: number,
): Op<number> {
  return yield* remoteWrite(kernel, mm, vpn, count, value, FOLL_GET | FOLL_FORCE, EIO);
}
