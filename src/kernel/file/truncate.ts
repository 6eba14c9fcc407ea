import { NIL } from '../../base/units.js';
import { zapPageRange } from '../fault/zap.js';
import { truncateHugetlb } from '../hugetlb/truncate.js';
import type { Kernel } from '../kernel.js';
import { downRead, upRead, type Op } from '../op/prims.js';
import { folioExpectedRefCount, folioPageCount } from '../phys/folio.js';
import { PG_DIRTY } from '../phys/page_flags.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { tryToUnmap } from '../rmap/try_to_unmap.js';
import { TTU_SPLIT_FILE } from '../rmap/ttu_flags.js';
import { freeShmemSwapRange } from '../swap/shmem_swap.js';
import { splitShmemFolioAt } from '../thp/split_file.js';
import type { AddressSpace } from '../vm/address_space.js';
import type { Vma } from '../vm/vma.js';
import { removeCacheFolio } from './page_cache.js';

/** Larger than any file page. */
export const END_OF_FILE = 2 ** 40;

/**
 * Sets the length of a file. Shrinking, or setting the length that it has, zaps every mapping behind
 * the end, private copies too (guards stay), and drops the cached pages, of which large folios may
 * reach behind the end (spec 97 §10). @kernel truncate_setsize
 */
export function* truncateFile(kernel: Kernel, mapping: AddressSpace, sizePages: number): Op<void> {
  const grows = sizePages > mapping.sizePages;
  mapping.sizePages = sizePages;
  if (grows) return;
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
  const atStart = findCachedHead(kernel, mapping, start);
  if (atStart !== NIL && !isInside(kernel, atStart, start, end)) {
    yield* splitPartial(kernel, mapping, atStart, start, end);
  }
  const atEnd = end === END_OF_FILE ? NIL : findCachedHead(kernel, mapping, end);
  if (atEnd !== NIL && kernel.memory.index[atEnd] < end && atEnd !== atStart) {
    yield* splitPartial(kernel, mapping, atEnd, start, end);
  }
  const heads = new Set<number>();
  for (const [index, pfn] of mapping.pages) {
    if (index >= start && index < end) heads.add(kernel.memory.folioOf(pfn));
  }
  for (const head of heads) {
    if (isInside(kernel, head, start, end)) removeCacheFolio(kernel, mapping, head);
    else zeroPart(kernel, head, start, end);
  }
  for (const known of [mapping.disk, mapping.evicted]) {
    for (const index of known.keys()) if (index >= start && index < end) known.delete(index);
  }
  freeShmemSwapRange(kernel, mapping, start, end);
}

/** Head of the cached folio that contains a file page, or NIL. */
function findCachedHead(kernel: Kernel, mapping: AddressSpace, index: number): number {
  const pfn = mapping.pages.get(index);
  return pfn === undefined ? NIL : kernel.memory.folioOf(pfn);
}

/**
 * Splits a folio that lies in [start, end) with a part of it: towards the first page of that part
 * and then, if pages lie behind it, what became of the page behind it, even where that page begins
 * a folio by then. @kernel truncate_inode_partial_folio
 */
function* splitPartial(
  kernel: Kernel,
  mapping: AddressSpace,
  head: number,
  start: number,
  end: number,
): Op<void> {
  const { index, flags } = kernel.memory;
  const first = index[head];
  const isInFront = first + folioPageCount(kernel, head) > end;
  flags[head] |= PG_DIRTY;
  if (!(yield* splitTowards(kernel, mapping, head, Math.max(first, start)))) return;
  if (isInFront) {
    yield* splitTowards(kernel, mapping, findCachedHead(kernel, mapping, end), end);
  }
}

/**
 * The folio leaves every mm, then file page `index` begins a folio of its own. With references of
 * others it cannot be split, and its mappings stay. This unmapping is the split's: unlike the zap
 * of the hole it does not count young entries as a use of the folio. Returns whether it was split.
 */
function* splitTowards(
  kernel: Kernel,
  mapping: AddressSpace,
  head: number,
  index: number,
): Op<boolean> {
  if (kernel.memory.refcount[head] !== folioExpectedRefCount(kernel, head)) return false;
  yield* downRead(mapping.iMmapRwsem);
  yield* tryToUnmap(kernel, head, TTU_SPLIT_FILE);
  const isSplit = splitShmemFolioAt(kernel, mapping, head, index);
  yield* upRead(mapping.iMmapRwsem);
  return isSplit;
}

function isInside(kernel: Kernel, head: number, start: number, end: number): boolean {
  const first = kernel.memory.index[head];
  return first >= start && first + folioPageCount(kernel, head) <= end;
}

/** A folio that could not be split stays as it is, with zeros where the hole is. */
function zeroPart(kernel: Kernel, head: number, start: number, end: number): void {
  const { content, index } = kernel.memory;
  const from = Math.max(0, start - index[head]);
  const to = Math.min(folioPageCount(kernel, head), end - index[head]);
  content.fill(0, head + from, head + to);
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
    if (vma !== undefined) {
      yield* pageTablesSettled(vma.mm);
      zapFilePart(kernel, vma, start, end, evenCows);
    }
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
