import type { Kernel } from '../kernel.js';
import { downRead, upRead, type Op } from '../op/prims.js';
import { folioGet, folioPut } from '../phys/folio.js';
import { drainMlock } from '../phys/mlock.js';
import { VM_MERGEABLE } from '../vm/vm_flags.js';
import { KsmRmapItem, type KsmMmSlot } from './ksm_types.js';
import { cmpAndMergePage } from './merge.js';
import { ScanPosition } from './scan_position.js';
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
  const { mm, items } = slot;
  const kept: KsmRmapItem[] = [];
  const position = new ScanPosition();
  let old = 0;
  while (!slot.isExiting) {
    yield* downRead(mm.mmapLock);
    const isFound = position.advance(kernel, mm);
    const { vpn, page } = position;
    if (isFound) folioGet(kernel, kernel.memory.folioOf(page));
    yield* upRead(mm.mmapLock);
    if (!isFound) break;
    while (old < items.length && items[old].vpn < vpn) {
      yield* removeItemFromTree(kernel, items[old]);
      old += 1;
    }
    const isKnown = old < items.length && items[old].vpn === vpn;
    const item = isKnown ? items[old] : new KsmRmapItem(mm, vpn);
    if (isKnown) old += 1;
    kept.push(item);
    yield* cmpAndMergePage(kernel, item, page);
    folioPut(kernel, kernel.memory.folioOf(page));
  }
  for (; old < items.length; old += 1) yield* removeItemFromTree(kernel, items[old]);
  if (slot.isExiting) {
    for (const item of kept) yield* removeItemFromTree(kernel, item);
    kept.length = 0;
  }
  slot.items = kept;
  return position.isMergeable;
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
