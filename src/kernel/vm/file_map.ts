import { fail } from '../../base/errors.js';
import { NIL } from '../../base/units.js';
import { truncateFile } from '../file/truncate.js';
import type { Kernel } from '../kernel.js';
import { downWrite, upWrite, type Op } from '../op/prims.js';
import type { AddressSpace } from './address_space.js';
import type { Vma } from './vma.js';
import { setOwner } from './row_owner.js';

/** A new VMA holds its file and goes on the file's tree, if it has one. @kernel vma_link_file */
export function* linkFile(kernel: Kernel, vma: Vma): Op<void> {
  if (vma.file === undefined) return;
  const { mapping } = vma.file;
  mapping.users += 1;
  vma.sharedRow = kernel.intervals.alloc();
  yield* downWrite(mapping.iMmapRwsem);
  fileTreeInsert(kernel, vma);
  yield* upWrite(mapping.iMmapRwsem);
}

/**
 * The same for a forked VMA: it goes directly behind its parent's, so that a walk of the tree sees
 * the parent first. @kernel vma_interval_tree_insert_after
 */
export function* linkFileAfter(kernel: Kernel, vma: Vma, parent: Vma): Op<void> {
  if (vma.file === undefined) return;
  const { mapping } = vma.file;
  mapping.users += 1;
  const row = kernel.intervals.alloc();
  vma.sharedRow = row;
  yield* downWrite(mapping.iMmapRwsem);
  setOwner(kernel.vmaOfRow, row, vma);
  kernel.intervals.insertAfter(mapping.iMmap, row, parent.sharedRow, vma.lastPgoff);
  yield* upWrite(mapping.iMmapRwsem);
}

/** A VMA leaves its file's tree and drops the file. @kernel unlink_file_vma */
export function* unlinkFile(kernel: Kernel, vma: Vma): Op<void> {
  const mapping = yield* unlinkFromFile(kernel, vma);
  if (mapping !== undefined) yield* putMapping(kernel, mapping);
}

/** The same, but the file stays: returns its mapping, which the caller puts. */
export function* unlinkFromFile(kernel: Kernel, vma: Vma): Op<AddressSpace | undefined> {
  if (vma.file === undefined) return undefined;
  const { mapping } = vma.file;
  yield* downWrite(mapping.iMmapRwsem);
  fileTreeRemove(kernel, vma);
  yield* upWrite(mapping.iMmapRwsem);
  kernel.intervals.free(vma.sharedRow);
  vma.sharedRow = NIL;
  return mapping;
}

/**
 * Drops one user of an inode. Memory files die with their last user, descriptor or mapping, and
 * take their pages along; a file on disk stays, and so do its cached pages. @kernel iput
 */
export function* putMapping(kernel: Kernel, mapping: AddressSpace): Op<void> {
  mapping.users -= 1;
  if (mapping.users < 0) fail(`file mapping ${mapping.id} is put once too often`);
  if (mapping.users > 0 || mapping.kind === 'tmp') return;
  yield* truncateFile(kernel, mapping, 0);
  kernel.mappings[mapping.id] = undefined;
}

/** The i_mmap lock is held for write; behind equal keys. @kernel vma_interval_tree_insert */
export function fileTreeInsert(kernel: Kernel, vma: Vma): void {
  if (vma.file === undefined) return;
  setOwner(kernel.vmaOfRow, vma.sharedRow, vma);
  kernel.intervals.insert(vma.file.mapping.iMmap, vma.sharedRow, vma.pgoff, vma.lastPgoff);
}

/** The i_mmap lock is held for write. @kernel vma_interval_tree_remove */
export function fileTreeRemove(kernel: Kernel, vma: Vma): void {
  if (vma.file === undefined) return;
  kernel.intervals.remove(vma.file.mapping.iMmap, vma.sharedRow);
  kernel.vmaOfRow[vma.sharedRow] = undefined;
}

/** First VMA in tree order that maps any of the file pages [first, last]. */
export function firstMappingVma(
  kernel: Kernel,
  mapping: AddressSpace,
  first: number,
  last: number,
): Vma | undefined {
  return vmaAt(kernel, kernel.intervals.iterFirst(mapping.iMmap, first, last));
}

/** Next such VMA behind `vma`. @kernel vma_interval_tree_iter_next */
export function nextMappingVma(
  kernel: Kernel,
  vma: Vma,
  first: number,
  last: number,
): Vma | undefined {
  return vmaAt(kernel, kernel.intervals.iterNext(vma.sharedRow, first, last));
}

function vmaAt(kernel: Kernel, row: number): Vma | undefined {
  if (row === NIL) return undefined;
  const vma = kernel.vmaOfRow[row];
  if (vma === undefined) fail(`row ${row} is on an i_mmap tree but belongs to no VMA`);
  return vma;
}
