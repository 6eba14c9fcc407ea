import { EINVAL } from '../errno.js';
import { copyEntries } from '../fault/copy_page_range.js';
import type { Kernel } from '../kernel.js';
import { downWrite, fullBarrier, updatePoint, upWrite, writePoint, type Op } from '../op/prims.js';
import { PTE_TABLE } from '../pgtable/pte.js';
import { findVma, type Mm } from '../vm/mm.js';
import { mmapWriteLock, mmapWriteUnlock } from '../vm/vma_lock.js';
import type { Vma } from '../vm/vma.js';
import { isCowMapping, VM_HUGETLB } from '../vm/vm_flags.js';

/**
 * Puts what `parent` maps in [start, end) into `child` too, as a fork at this moment would: for who
 * rebuilds the state of processes whose forks were not seen. Every VMA of the child in the range
 * must descend from the parent's, and the child must map nothing there. Returns 0, -EINVAL where
 * that does not hold, or -ENOMEM; ranges before the one that failed are done.
 */
export function* inheritPages(
  kernel: Kernel,
  child: Mm,
  parent: Mm,
  start: number,
  end: number,
): Op<number> {
  // A child of vfork has the very same address space.
  if (child === parent) return -EINVAL;
  yield* mmapWriteLock(parent);
  yield* mmapWriteLock(child);
  let failed = 0;
  let at = start;
  while (failed === 0 && at < end) {
    const from = findVma(parent, at);
    const to = findVma(child, at);
    if (from === undefined || to === undefined || !mayInherit(to, from, at)) {
      failed = -EINVAL;
      break;
    }
    const stop = Math.min(from.end, to.end, end);
    if (mapsAnything(kernel, to, at, stop)) {
      failed = -EINVAL;
      break;
    }
    failed = yield* inheritRange(kernel, to, from, at, stop);
    at = stop;
  }
  yield* mmapWriteUnlock(child);
  yield* mmapWriteUnlock(parent);
  return failed;
}

/** The child's VMA must lead from the pages of the parent's, at the same addresses. */
function mayInherit(to: Vma, from: Vma, at: number): boolean {
  const owner = from.anonVma;
  if (owner === undefined || !isCowMapping(from.flags) || !isCowMapping(to.flags)) return false;
  if (((from.flags | to.flags) & VM_HUGETLB) !== 0) return false;
  if (from.pgoff + (at - from.start) !== to.pgoff + (at - to.start)) return false;
  return from.anonVmaChain.every((edge) =>
    to.anonVmaChain.some((other) => other.anonVma === edge.anonVma),
  );
}

function mapsAnything(kernel: Kernel, vma: Vma, start: number, end: number): boolean {
  const { pageTables } = kernel;
  const { pgd } = vma.mm;
  let at = start;
  while (at < end) {
    const pmd = pageTables.findPmd(pgd, at);
    if (pmd < 0) {
      at = pageTables.skipHole(pgd, at, end);
      continue;
    }
    const flags = pageTables.flags[pmd];
    if (flags !== 0 && (flags & PTE_TABLE) === 0) return true;
    const entry = pageTables.findPte(pgd, at);
    if (entry >= 0 && pageTables.flags[entry] !== 0) return true;
    at += 1;
  }
  return false;
}

function* inheritRange(kernel: Kernel, to: Vma, from: Vma, start: number, end: number): Op<number> {
  const { mm: parent } = from;
  yield* updatePoint('write_protect_seq', parent.id);
  parent.writeProtectSeq += 1;
  yield* fullBarrier();
  yield* downWrite(to.mm.pageTableLock);
  yield* downWrite(parent.pageTableLock);
  yield* writePoint('page_table', parent.id);
  const copied = copyEntries(kernel, to, from, start, end);
  yield* upWrite(parent.pageTableLock);
  yield* upWrite(to.mm.pageTableLock);
  yield* fullBarrier();
  yield* updatePoint('write_protect_seq', parent.id);
  parent.writeProtectSeq += 1;
  return Math.min(copied, 0);
}
