import { TASK_SIZE_PAGES } from '../../base/units.js';
import { freePgtables, ZAP_ALL, zapPageRange } from '../fault/zap.js';
import { hugetlbUnreserve } from '../hugetlb/reserve.js';
import type { Kernel } from '../kernel.js';
import { upRead, type Op } from '../op/prims.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { unlinkAnonVmas } from '../rmap/anon_vma_clone.js';
import { unlinkFile } from './file_map.js';
import { findVmaIndex, type Mm } from './mm.js';
import { accountPages } from './vm_stat.js';
import { mmapWriteDowngrade, mmapWriteUnlock, vmaStartWrite } from './vma_lock.js';
import { splitVma } from './vma_split.js';
import type { Vma } from './vma.js';
import { VM_HUGETLB } from './vm_flags.js';

/**
 * Unmaps [start, end): VMAs at the ends are split, the rest go with their pages and page tables.
 * The mmap lock is held for write. Returns 0, also if nothing is mapped there, or the errno of a
 * split that failed (nothing is unmapped then). @kernel do_vmi_munmap
 */
export function* unmapRange(kernel: Kernel, mm: Mm, start: number, end: number): Op<number> {
  const cut = yield* detachRange(kernel, mm, start, end);
  if (typeof cut === 'number') return cut;
  yield* unmapVmas(kernel, mm, cut);
  return 0;
}

/**
 * The same, and lets go of the mmap lock, unless it fails: once the VMAs are out of the mm the lock
 * is held for reading only, so that faults can go on elsewhere while the pages are removed.
 */
export function* unmapRangeAndUnlock(
  kernel: Kernel,
  mm: Mm,
  start: number,
  end: number,
): Op<number> {
  const cut = yield* detachRange(kernel, mm, start, end);
  if (typeof cut === 'number') {
    if (cut === 0) yield* mmapWriteUnlock(mm);
    return cut;
  }
  yield* mmapWriteDowngrade(mm);
  yield* unmapVmas(kernel, mm, cut);
  yield* upRead(mm.mmapLock);
  return 0;
}

/** VMAs that were taken out of an mm. */
interface DetachedVmas {
  readonly vmas: readonly Vma[];
  /** End of the VMA below them. */
  readonly floor: number;
  /** Start of the VMA above them: page tables that reach over these stay. */
  readonly ceiling: number;
}

/**
 * Takes all VMAs of [start, end) out of the mm, split off at both ends. Returns 0 if there are
 * none, or the errno of a split that failed. @kernel vms_gather_munmap_vmas
 */
function* detachRange(
  kernel: Kernel,
  mm: Mm,
  start: number,
  end: number,
): Op<DetachedVmas | number> {
  const { vmas } = mm;
  let first = findVmaIndex(mm, start);
  if (start >= end || first === vmas.length || vmas[first].start >= end) return 0;
  if (vmas[first].start < start) {
    const failed = yield* splitVma(kernel, vmas[first], start, true);
    if (failed !== 0) return failed;
    first += 1;
  }
  let behind = first + 1;
  while (behind < vmas.length && vmas[behind].start < end) behind += 1;
  if (vmas[behind - 1].end > end) {
    const failed = yield* splitVma(kernel, vmas[behind - 1], end, false);
    if (failed !== 0) return failed;
  }
  for (let i = first; i < behind; i += 1) yield* vmaStartWrite(vmas[i]);
  const floor = first === 0 ? 0 : vmas[first - 1].end;
  const ceiling = behind === vmas.length ? TASK_SIZE_PAGES : vmas[behind].start;
  const removed = vmas.splice(first, behind - first);
  for (const vma of removed) {
    vma.detached = true;
    accountPages(mm, vma.flags, -vma.lengthPages);
  }
  return { vmas: removed, floor, ceiling };
}

/**
 * Removes the pages of VMAs that were taken out of the mm, then the VMAs from all trees, then the
 * page tables. Only in this order a reverse-mapping walk finds every page that is still mapped.
 * @kernel unmap_region
 */
function* unmapVmas(
  kernel: Kernel,
  mm: Mm,
  { vmas: removed, floor, ceiling }: DetachedVmas,
): Op<void> {
  yield* pageTablesSettled(mm);
  for (const vma of removed) zapPageRange(kernel, vma, vma.start, vma.end, ZAP_ALL);
  for (const vma of removed) {
    if ((vma.flags & VM_HUGETLB) !== 0) hugetlbUnreserve(kernel, vma, vma.start, vma.end);
    yield* unlinkAnonVmas(kernel, vma);
    yield* unlinkFile(kernel, vma);
  }
  const { start } = removed[0];
  const { end } = removed[removed.length - 1];
  freePgtables(kernel, mm, start, end, floor, ceiling);
}
