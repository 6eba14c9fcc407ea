import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { findVmaIndex, hasOverlap, type Mm } from '../vm/mm.js';
import { guardedStart } from '../vm/stack_growth.js';
import { unmapRangeAndUnlock } from '../vm/unmap.js';
import {
  VM_ACCOUNT,
  VM_LOCKED,
  VM_MAYEXEC,
  VM_MAYREAD,
  VM_MAYWRITE,
  VM_READ,
  VM_WRITE,
} from '../vm/vm_flags.js';
import { accountPages } from '../vm/vm_stat.js';
import { mmapWriteLock, mmapWriteUnlock } from '../vm/vma_lock.js';
import { insertVma } from '../vm/vma_split.js';
import { Vma } from '../vm/vma.js';
import { mapAnonymous, newVmaFlags } from './mmap.js';
import { populateUnlocked } from './populate_unlocked.js';

/** @kernel VM_DATA_DEFAULT_FLAGS */
const HEAP_FLAGS = VM_READ | VM_WRITE | VM_MAYREAD | VM_MAYWRITE | VM_MAYEXEC | VM_ACCOUNT;

/** Places the heap: its start and the break, both at page `at`. @kernel prctl_set_mm */
export function setHeapStart(mm: Mm, at: number): void {
  mm.startBrk = at;
  mm.brk = at;
}

/**
 * Moves the program break to page `at` (spec 97 §1.6). Returns the break, which is the old one if
 * the move is refused. @kernel brk
 */
export function* doBrk(kernel: Kernel, mm: Mm, at: number): Op<number> {
  yield* mmapWriteLock(mm);
  const old = mm.brk;
  // Where nothing is left to unmap the break stays where it is.
  if (at >= mm.startBrk && at < old && hasOverlap(mm, at, old)) {
    return yield* lowerBreak(kernel, mm, at);
  }
  const isPopulated = at > old && (yield* raiseBreak(kernel, mm, at));
  const result = mm.brk;
  yield* mmapWriteUnlock(mm);
  if (isPopulated) yield* populateUnlocked(kernel, mm, old, at, true);
  return result;
}

/** The mmap lock is held for write, and let go. Returns the break. */
function* lowerBreak(kernel: Kernel, mm: Mm, at: number): Op<number> {
  const old = mm.brk;
  mm.brk = at;
  const failed = yield* unmapRangeAndUnlock(kernel, mm, at, old);
  if (failed === 0) return at;
  mm.brk = old;
  yield* mmapWriteUnlock(mm);
  return old;
}

/** Returns whether there are new pages that must be resident. */
function* raiseBreak(kernel: Kernel, mm: Mm, at: number): Op<boolean> {
  const old = mm.brk;
  const next = mm.vmas[findVmaIndex(mm, old)];
  if (next !== undefined && at + 1 > guardedStart(next)) return false;
  const flags = newVmaFlags(kernel, mm, HEAP_FLAGS);
  if (old === mm.startBrk) {
    // A heap that begins never joins what lies before it.
    if (kernel.allocationFails()) return false;
    insertVma(new Vma(mm, old, at, old, flags, undefined));
    accountPages(mm, flags, at - old);
  } else if ((yield* mapAnonymous(kernel, mm, old, at, flags)) < 0) {
    return false;
  }
  mm.brk = at;
  return (flags & VM_LOCKED) !== 0;
}
