import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { downRead, upRead, type Op } from '../op/prims.js';
import { folioPut } from '../phys/folio.js';
import { PG_DIRTY } from '../phys/page_flags.js';
import type { AddressSpace } from '../vm/address_space.js';
import type { Vma } from '../vm/vma.js';
import { unreserveFile } from './reserve.js';
import { zapHugetlbRange } from './zap.js';

/**
 * Drops the huge pages that lie in [start, end) of a hugetlb file, and the mappings and promises
 * there. `isTruncate`: the file ends at `start` now; otherwise a hole, whose partial huge pages are
 * zeroed and stay. @kernel hugetlb_vmtruncate @kernel hugetlbfs_punch_hole
 */
export function* truncateHugetlb(
  kernel: Kernel,
  mapping: AddressSpace,
  start: number,
  end: number,
  isTruncate: boolean,
): Op<void> {
  const pages = 2 ** mapping.hugeOrder;
  const first = Math.ceil(start / pages) * pages;
  const last = isTruncate ? end : end - (end % pages);
  if (!isTruncate) {
    zeroCached(kernel, mapping, start, Math.min(first, end));
    zeroCached(kernel, mapping, Math.max(last, start), end);
  }
  if (first >= last) return;
  yield* unmapHugeFile(kernel, mapping, first, last);
  const indices: number[] = [];
  for (const index of mapping.pages.keys()) {
    if (index >= first && index < last && index % pages === 0) indices.push(index);
  }
  for (const index of indices) removeFromHugeCache(kernel, mapping, index, pages);
  if (isTruncate) {
    unreserveFile(kernel, mapping, first / pages, last / pages, indices.length);
  } else {
    // Promises that no page was taken for survive a hole.
    for (const index of indices)
      unreserveFile(kernel, mapping, index / pages, index / pages + 1, 1);
  }
}

function zeroCached(kernel: Kernel, mapping: AddressSpace, start: number, end: number): void {
  for (let index = start; index < end; index += 1) {
    const pfn = mapping.pages.get(index);
    if (pfn !== undefined) kernel.memory.content[pfn] = 0;
  }
}

/** Zaps file pages [first, last) in every VMA, private copies too. @kernel hugetlb_vmdelete_list */
function* unmapHugeFile(
  kernel: Kernel,
  mapping: AddressSpace,
  first: number,
  last: number,
): Op<void> {
  const { intervals, vmaOfRow } = kernel;
  yield* downRead(mapping.iMmapRwsem);
  let row = intervals.iterFirst(mapping.iMmap, first, last - 1);
  while (row !== NIL) {
    const vma = vmaOfRow[row];
    if (vma !== undefined) zapFilePart(kernel, vma, first, last);
    row = intervals.iterNext(row, first, last - 1);
  }
  yield* upRead(mapping.iMmapRwsem);
}

function zapFilePart(kernel: Kernel, vma: Vma, first: number, last: number): void {
  const from = Math.max(vma.start, vma.start + (first - vma.pgoff));
  const to = Math.min(vma.end, vma.start + (last - vma.pgoff));
  if (from < to) zapHugetlbRange(kernel, vma, from, to);
}

/** @kernel hugetlb_delete_from_page_cache */
function removeFromHugeCache(
  kernel: Kernel,
  mapping: AddressSpace,
  index: number,
  pages: number,
): void {
  const head = mapping.pages.get(index) ?? NIL;
  for (let i = 0; i < pages; i += 1) mapping.pages.delete(index + i);
  kernel.memory.mapping[head] = 0;
  kernel.memory.flags[head] &= ~PG_DIRTY;
  folioPut(kernel, head, pages);
}
