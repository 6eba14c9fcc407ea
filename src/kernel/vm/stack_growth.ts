import { ENOMEM } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { downWrite, upWrite, type Op } from '../op/prims.js';
import { anonVmaLockWrite, anonVmaPrepare, anonVmaUnlockWrite } from '../rmap/anon_vma.js';
import { findVmaIndex } from './mm.js';
import { accountPages } from './vm_stat.js';
import { vmaStartWrite } from './vma_lock.js';
import { insertKeys, removeKeys } from './vma_range.js';
import type { Vma } from './vma.js';
import { VM_ACCESS_FLAGS, VM_GROWSDOWN } from './vm_flags.js';

/** RLIMIT_STACK: 8 MiB. */
const STACK_LIMIT_PAGES = 2048;
/** Pages kept free between a stack and what is mapped below it. @kernel stack_guard_gap */
export const STACK_GUARD_GAP_PAGES = 256;

/** Lowest page that other mappings keep away from. @kernel vm_start_gap */
export function guardedStart(vma: Vma): number {
  return (vma.flags & VM_GROWSDOWN) === 0 ? vma.start : vma.start - STACK_GUARD_GAP_PAGES;
}

/**
 * Extends a growsdown VMA down to page `vpn`, which lies below it and above the VMA before it;
 * pages between stay empty. The mmap lock is held for write. Returns 0, or -ENOMEM if the stack
 * would be too long or too near to what is mapped below (spec 97 §6.4). @kernel expand_downwards
 */
export function* expandDownwards(kernel: Kernel, vma: Vma, vpn: number): Op<number> {
  const { mm } = vma;
  const below = mm.vmas[findVmaIndex(mm, vma.start) - 1];
  if (below !== undefined && isTooNear(below, vpn)) return -ENOMEM;
  const failed = yield* anonVmaPrepare(kernel, vma);
  yield* vmaStartWrite(vma);
  const { anonVma } = vma;
  if (failed !== 0 || anonVma === undefined) return -ENOMEM;
  yield* anonVmaLockWrite(anonVma);
  yield* downWrite(mm.pageTableLock);
  const result = moveStartDown(kernel, vma, vpn);
  yield* upWrite(mm.pageTableLock);
  yield* anonVmaUnlockWrite(anonVma);
  return result;
}

/** Another stack below, or what cannot be accessed, needs no distance. */
function isTooNear(below: Vma, vpn: number): boolean {
  if ((below.flags & VM_GROWSDOWN) !== 0 || (below.flags & VM_ACCESS_FLAGS) === 0) return false;
  return vpn - below.end < STACK_GUARD_GAP_PAGES;
}

function moveStartDown(kernel: Kernel, vma: Vma, vpn: number): number {
  const grownPages = vma.start - vpn;
  // Another thread's fault may have been faster.
  if (grownPages <= 0) return 0;
  if (vma.end - vpn > STACK_LIMIT_PAGES || grownPages > vma.pgoff) return -ENOMEM;
  removeKeys(kernel, vma);
  vma.start = vpn;
  vma.pgoff -= grownPages;
  insertKeys(kernel, vma);
  accountPages(vma.mm, vma.flags, grownPages);
  return 0;
}
