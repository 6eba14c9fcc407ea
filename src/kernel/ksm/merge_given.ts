import { NIL } from '../../base/units.js';
import { EFAULT, EINVAL } from '../errno.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioGet, folioPut, isAnonFolio, isKsmFolio } from '../phys/folio.js';
import type { Mm } from '../vm/mm.js';
import { KsmRmapItem, type KsmMmSlot } from './ksm_types.js';
import { tryToMergeTwoPages, tryToMergeWithKsmPage } from './merge.js';
import { presentPage } from './scan_position.js';
import { removeItemFromTree, stableTreeAppend, stableTreeInsert } from './stable_tree.js';

/**
 * What ksmd does once it has found two equal pages, for who knows which: a recording of a real
 * ksmd. The page at `vpn` is replaced by the one that `targetMm` maps at `targetVpn`, which becomes
 * a merged page if it is none yet. Returns 0, -EINVAL if one of them is no anonymous page of a
 * registered process, or -EFAULT if the page is in use otherwise.
 */
export function* mergeGivenPages(
  kernel: Kernel,
  mm: Mm,
  vpn: number,
  targetMm: Mm,
  targetVpn: number,
): Op<number> {
  const { ksm, memory } = kernel;
  const page = anonymousPage(kernel, mm, vpn);
  const target = anonymousPage(kernel, targetMm, targetVpn);
  const slot = ksm.slots.find((other) => other.mm === mm);
  const targetSlot = ksm.slots.find((other) => other.mm === targetMm);
  if (page === NIL || target === NIL || slot === undefined || targetSlot === undefined) {
    return -EINVAL;
  }
  if (page === target || isKsmFolio(kernel, memory.folioOf(page))) return -EINVAL;
  // They were compared: this machine has no other word for what they hold.
  memory.content[page] = memory.content[target];
  const item = itemAt(slot, vpn);
  yield* forgetOldPage(kernel, item);
  folioGet(kernel, memory.folioOf(page));
  folioGet(kernel, memory.folioOf(target));
  const result = yield* mergeHeld(kernel, item, page, itemAt(targetSlot, targetVpn), target);
  folioPut(kernel, memory.folioOf(target));
  folioPut(kernel, memory.folioOf(page));
  return result;
}

/** The caller holds one reference of both pages. */
function* mergeHeld(
  kernel: Kernel,
  item: KsmRmapItem,
  page: number,
  targetItem: KsmRmapItem,
  target: number,
): Op<number> {
  const { ksm, memory } = kernel;
  const known = ksm.nodeOf(target);
  if (known !== undefined) {
    const failed = yield* tryToMergeWithKsmPage(kernel, item, page, target);
    if (failed === 0) stableTreeAppend(item, known);
    return failed;
  }
  yield* forgetOldPage(kernel, targetItem);
  if (!(yield* tryToMergeTwoPages(kernel, targetItem, target, item, page))) return -EFAULT;
  const node = yield* stableTreeInsert(kernel, target);
  node.wasShared = memory.mapcount[target] > 2;
  stableTreeAppend(item, node);
  stableTreeAppend(targetItem, node);
  return 0;
}

/**
 * The page that the item stood for is no longer there. Forks that still map it are found again only
 * when a scan gives them items of their own.
 */
function* forgetOldPage(kernel: Kernel, item: KsmRmapItem): Op<void> {
  if (item.node !== undefined) item.node.wasShared = true;
  yield* removeItemFromTree(kernel, item);
}

/** The item of a page, made in its place by address if there is none. */
function itemAt(slot: KsmMmSlot, vpn: number): KsmRmapItem {
  const { items } = slot;
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (items[middle].vpn < vpn) low = middle + 1;
    else high = middle;
  }
  if (low < items.length && items[low].vpn === vpn) return items[low];
  const item = new KsmRmapItem(slot.mm, vpn);
  items.splice(low, 0, item);
  return item;
}

function anonymousPage(kernel: Kernel, mm: Mm, vpn: number): number {
  const page = presentPage(kernel, mm, vpn);
  return page !== NIL && isAnonFolio(kernel, kernel.memory.folioOf(page)) ? page : NIL;
}
