import type { Kernel } from '../kernel.js';
import { canInterleave, downRead, upRead, type Op } from '../op/prims.js';
import { folioGet, folioPut } from '../phys/folio.js';
import { drainMlock } from '../phys/mlock.js';
import { VM_MERGEABLE } from '../vm/vm_flags.js';
import { ItemCursor } from './item_cursor.js';
import type { KsmMmSlot } from './ksm_types.js';
import { cmpAndMergePage } from './merge.js';
import { ScanPosition } from './scan_position.js';
import { passOver } from './scan_run.js';
import { removeAllNodes, removeItemFromTree } from './stable_tree.js';
import { unmergeKsmPages } from './unmerge.js';

/** Runs ksmd for `passes` full passes over all mergeable memory. @kernel ksm_do_scan */
export function* ksmScan(kernel: Kernel, passes: number): Op<void> {
  if (!kernel.profile.ksm) return;
  for (let pass = 0; pass < passes; pass += 1) yield* scanPass(kernel);
}

/** One pass: every address space, in order of registration. @kernel scan_get_next_rmap_item */
function* scanPass(kernel: Kernel): Op<void> {
  const { ksm } = kernel;
  drainMlock(kernel);
  ksm.passes += 1;
  ksm.unstableTree.clear();
  ksm.current = ksm.slots[0];
  while (ksm.current !== undefined) {
    const slot: KsmMmSlot = ksm.current;
    const isMergeable = yield* scanSlot(kernel, slot);
    const index = ksm.slots.indexOf(slot);
    ksm.current = ksm.slots[index + 1];
    if (isMergeable && !slot.isExiting) continue;
    ksm.slots.splice(index, 1);
    slot.mm.ksmRegistered = false;
  }
}

/**
 * Visits the anonymous pages of an address space by ascending address. Items of addresses where
 * there is none any more are dropped. Returns whether any VMA is mergeable.
 */
function* scanSlot(kernel: Kernel, slot: KsmMmSlot): Op<boolean> {
  const { mm } = slot;
  const cursor = new ItemCursor(slot);
  const position = new ScanPosition();
  while (!slot.isExiting) {
    let item = canInterleave ? undefined : passOver(kernel, position, cursor);
    if (item === undefined) {
      yield* downRead(mm.mmapLock);
      const isFound = position.advance(kernel, mm);
      if (isFound) folioGet(kernel, kernel.memory.folioOf(position.page));
      yield* upRead(mm.mmapLock);
      if (!isFound) break;
      while (cursor.hasStale(position.vpn)) yield* forgetNext(kernel, cursor);
      item = cursor.take(position.vpn);
    } else {
      folioGet(kernel, position.page);
    }
    const { page } = position;
    yield* cmpAndMergePage(kernel, item, page);
    folioPut(kernel, kernel.memory.folioOf(page));
  }
  while (yield* forgetNext(kernel, cursor));
  slot.items = cursor.finish();
  if (slot.isExiting) {
    for (const item of slot.items) yield* removeItemFromTree(kernel, item);
    slot.items = [];
  }
  return position.isMergeable;
}

/** Forgets the next old item; false if there is none. */
function* forgetNext(kernel: Kernel, cursor: ItemCursor): Op<boolean> {
  const item = cursor.dropNext();
  if (item !== undefined) yield* removeItemFromTree(kernel, item);
  return item !== undefined;
}

/**
 * Unmerges everything and forgets all items (run = 2). Returns 0 or a negative errno.
 * @kernel unmerge_and_remove_all_rmap_items
 */
export function* ksmUnmergeAll(kernel: Kernel): Op<number> {
  const { ksm } = kernel;
  for (const slot of ksm.slots.slice()) {
    const { mm } = slot;
    yield* downRead(mm.mmapLock);
    for (const vma of mm.vmas) {
      if ((vma.flags & VM_MERGEABLE) === 0 || vma.anonVma === undefined) continue;
      const failed = yield* unmergeKsmPages(kernel, vma, vma.start, vma.end);
      if (failed !== 0) {
        yield* upRead(mm.mmapLock);
        return failed;
      }
    }
    yield* upRead(mm.mmapLock);
    for (const item of slot.items) yield* removeItemFromTree(kernel, item);
    slot.items = [];
    if (slot.isExiting) ksm.slots.splice(ksm.slots.indexOf(slot), 1);
  }
  for (const node of ksm.nodes) if (node !== undefined) node.wasShared = true;
  yield* removeAllNodes(kernel);
  ksm.passes = 0;
  return 0;
}
