import { NIL } from '../../base/units.js';
import { zapPageRange } from '../fault/zap.js';
import { truncateHugetlb } from '../hugetlb/truncate.js';
import type { Kernel } from '../kernel.js';
import { downRead, upRead, type Op } from '../op/prims.js';
import { folioPageCount } from '../phys/folio.js';
import { freeShmemSwapRange } from '../swap/shmem_swap.js';
import { splitShmemFolioAt } from '../thp/split_file.js';
import type { AddressSpace } from '../vm/address_space.js';
import type { Vma } from '../vm/vma.js';
import { removeCacheFolio } from './page_cache.js';

/** Larger than any file page. */
const END_OF_FILE = 2 ** 40;

/**
 * Sets the length of a file. Shrinking zaps every mapping behind the new end, private copies too
 * (guards stay), and drops the cached pages (spec 97 §10). @kernel truncate_setsize
 */
export function* truncateFile(kernel: Kernel, mapping: AddressSpace, sizePages: number): Op<void> {
  const shrinks = sizePages < mapping.sizePages;
  mapping.sizePages = sizePages;
  if (!shrinks) return;
  if (mapping.kind === 'hugetlb') {
    yield* truncateHugetlb(kernel, mapping, sizePages, END_OF_FILE, true);
    return;
  }
  yield* dropFileRange(kernel, mapping, sizePages, END_OF_FILE, true);
}

/**
 * Frees [start, end) of a file, keeping its length: page-cache mappings go, private copies and
 * guards stay. @kernel fallocate
 */
export function* punchHole(
  kernel: Kernel,
  mapping: AddressSpace,
  start: number,
  end: number,
): Op<void> {
  if (mapping.kind === 'hugetlb') yield* truncateHugetlb(kernel, mapping, start, end, false);
  else yield* dropFileRange(kernel, mapping, start, end, false);
}

function* dropFileRange(
  kernel: Kernel,
  mapping: AddressSpace,
  start: number,
  end: number,
  evenCows: boolean,
): Op<void> {
  yield* unmapMappingRange(kernel, mapping, start, end, evenCows);
  // Large folios that straddle a boundary lose all their mappings and are split towards it.
  yield* splitStraddling(kernel, mapping, start);
  if (end !== END_OF_FILE) yield* splitStraddling(kernel, mapping, end);
  const heads = new Set<number>();
  for (const [index, pfn] of mapping.pages) {
    if (index >= start && index < end) heads.add(kernel.memory.folioOf(pfn));
  }
  for (const head of heads) removeCacheFolio(kernel, mapping, head);
  for (const index of [...mapping.disk.keys()]) {
    if (index >= start && index < end) mapping.disk.delete(index);
  }
  freeShmemSwapRange(kernel, mapping, start, end);
}

function* splitStraddling(kernel: Kernel, mapping: AddressSpace, index: number): Op<void> {
  const pfn = mapping.pages.get(index) ?? NIL;
  if (pfn === NIL) return;
  const head = kernel.memory.folioOf(pfn);
  if (head === pfn) return;
  const first = kernel.memory.index[head];
  yield* unmapMappingRange(kernel, mapping, first, first + folioPageCount(kernel, head), false);
  splitShmemFolioAt(kernel, mapping, head, index);
}

/**
 * Zaps [start, end) of a file in every VMA that maps it. With `evenCows` private copies go too.
 * @kernel unmap_mapping_range
 */
export function* unmapMappingRange(
  kernel: Kernel,
  mapping: AddressSpace,
  start: number,
  end: number,
  evenCows: boolean,
): Op<void> {
  yield* downRead(mapping.iMmapRwsem);
  const { intervals, vmaOfRow } = kernel;
  let row = intervals.iterFirst(mapping.iMmap, start, end - 1);
  while (row !== NIL) {
    const vma = vmaOfRow[row];
    if (vma !== undefined) zapFilePart(kernel, vma, start, end, evenCows);
    row = intervals.iterNext(row, start, end - 1);
  }
  yield* upRead(mapping.iMmapRwsem);
}

function zapFilePart(
  kernel: Kernel,
  vma: Vma,
  start: number,
  end: number,
  evenCows: boolean,
): void {
  const from = Math.max(vma.start, vma.start + (start - vma.pgoff));
  const to = Math.min(vma.end, vma.start + (end - vma.pgoff));
  if (from >= to) return;
  zapPageRange(kernel, vma, from, to, { keepMarkers: true, evenCows, reclaimTables: false });
}

