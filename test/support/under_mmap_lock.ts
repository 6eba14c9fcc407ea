import { runToEnd, type Op } from '../../src/kernel/op/prims.js';
import type { Mm } from '../../src/kernel/vm/mm.js';
import { mmapWriteLock, mmapWriteUnlock } from '../../src/kernel/vm/vma_lock.js';

/** Runs what changes VMAs as its callers do: with the mmap lock held for write. */
export function underMmapLock<T>(mm: Mm, change: () => Op<T>): T {
  runToEnd(mmapWriteLock(mm));
  const result = runToEnd(change());
  runToEnd(mmapWriteUnlock(mm));
  return result;
}
