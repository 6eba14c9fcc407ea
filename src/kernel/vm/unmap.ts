import { TASK_SIZE_PAGES } from '../../base/units.js';
import { freePgtables, ZAP_ALL, zapPageRange } from '../fault/zap.js';
import { hugetlbUnreserve } from '../hugetlb/reserve.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { unlinkAnonVmas } from '../rmap/anon_vma_clone.js';
import { unlinkFile } from './file_map.js';
import { findVmaIndex, type Mm } from './mm.js';
import { accountPages } from './vm_stat.js';
import { splitVma } from './vma_split.js';
import type { Vma } from './vma.js';
import { VM_HUGETLB } from './vm_flags.js';

/**
 * Unmaps [start, end): VMAs at the ends are split, the rest go with their pages and page tables.
 * The mmap lock is held for write. Returns 0, also if nothing is mapped there, or the errno of a
 * split that failed (nothing is unmapped then). @kernel do_vmi_munmap
 */
export function* unmapRange(kernel: Kernel, mm: Mm, start: number, end: number): Op<number> {
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
  const floor = first === 0 ? 0 : vmas[first - 1].end;
  const ceiling = behind === vmas.length ? TASK_SIZE_PAGES : vmas[behind].start;
  yield* unmapVmas(kernel, mm, vmas.splice(first, behind - first), floor, ceiling);
  return 0;
}

/**
 * Removes the pages of VMAs that were taken out of the mm, then the VMAs from all trees, then the
 * page tables. Only in this order a reverse-mapping walk finds every page that is still mapped.
 *
 * @param floor End of the VMA below them.
 * @param ceiling Start of the VMA above them: page tables that reach over these stay.
 * @kernel unmap_region
 */
export function* unmapVmas(
  kernel: Kernel,
  mm: Mm,
  removed: readonly Vma[],
  floor: number,
  ceiling: number,
): Op<void> {
  if (removed.length === 0) return;
  for (const vma of removed) {
    vma.detached = true;
    accountPages(mm, vma.flags, -vma.lengthPages);
    zapPageRange(kernel, vma, vma.start, vma.end, ZAP_ALL);
  }
  for (const vma of removed) {
    if ((vma.flags & VM_HUGETLB) !== 0) hugetlbUnreserve(kernel, vma, vma.start, vma.end);
    yield* unlinkAnonVmas(kernel, vma);
    yield* unlinkFile(kernel, vma);
  }
  const { start } = removed[0];
  const { end } = removed[removed.length - 1];
  freePgtables(kernel, mm, start, end, floor, ceiling);
}
