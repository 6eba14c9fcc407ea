import { fail } from '../../base/errors.js';
import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { setOwner } from '../vm/row_owner.js';
import type { Vma } from '../vm/vma.js';
import { AnonVmaChain, type AnonVma } from './anon_vma_types.js';

/**
 * Makes an edge and puts it at the head of the VMA's chain and into the anon_vma's tree; its root
 * is locked for write. @kernel anon_vma_chain_link
 */
export function avcLink(kernel: Kernel, vma: Vma, anonVma: AnonVma): void {
  const avc = new AnonVmaChain(vma, anonVma, kernel.intervals.alloc());
  vma.anonVmaChain.unshift(avc);
  avcInsert(kernel, avc);
}

/** Puts an edge into its anon_vma's tree, behind equal keys. @kernel anon_vma_interval_tree_insert */
export function avcInsert(kernel: Kernel, avc: AnonVmaChain): void {
  const { vma, row } = avc;
  setOwner(kernel.avcOfRow, row, avc);
  setOwner(kernel.vmaOfRow, row, vma);
  kernel.intervals.insert(avc.anonVma.tree, row, vma.pgoff, vma.lastPgoff);
}

/** Takes an edge out of its anon_vma's tree. @kernel anon_vma_interval_tree_remove */
export function avcRemove(kernel: Kernel, avc: AnonVmaChain): void {
  kernel.intervals.remove(avc.anonVma.tree, avc.row);
  kernel.avcOfRow[avc.row] = undefined;
  kernel.vmaOfRow[avc.row] = undefined;
}

/** Gives the row of an edge back that is in no tree. @kernel anon_vma_chain_free */
export function avcFree(kernel: Kernel, avc: AnonVmaChain): void {
  kernel.intervals.free(avc.row);
}

/** First edge in tree order whose VMA overlaps the page offsets [first, last]. */
export function firstAvc(
  kernel: Kernel,
  anonVma: AnonVma,
  first: number,
  last: number,
): AnonVmaChain | undefined {
  return avcAt(kernel, kernel.intervals.iterFirst(anonVma.tree, first, last));
}

/** Next such edge behind `avc`. @kernel anon_vma_interval_tree_iter_next */
export function nextAvc(
  kernel: Kernel,
  avc: AnonVmaChain,
  first: number,
  last: number,
): AnonVmaChain | undefined {
  return avcAt(kernel, kernel.intervals.iterNext(avc.row, first, last));
}

function avcAt(kernel: Kernel, row: number): AnonVmaChain | undefined {
  if (row === NIL) return undefined;
  const avc = kernel.avcOfRow[row];
  if (avc === undefined) fail(`row ${row} is on an anon_vma tree but belongs to no edge`);
  return avc;
}
