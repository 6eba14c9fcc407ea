import { NIL } from '../../base/units.js';
import { EFAULT } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { canInterleave, downRead, upRead, type Op } from '../op/prims.js';
import { folioGet, folioPut, isAnonFolio } from '../phys/folio.js';
import { getAnonVma, putAnonVma } from '../rmap/anon_vma.js';
import { findVma } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import { VM_MERGEABLE } from '../vm/vm_flags.js';
import type { KsmRmapItem } from './ksm_types.js';
import { splitForKsm, tryToMergeOnePage } from './replace_page.js';
import { presentPage } from './scan_position.js';
import {
  removeItemFromTree,
  stableTreeAppend,
  stableTreeInsert,
  stableTreeSearch,
} from './stable_tree.js';
import { breakKsm } from './unmerge.js';

/**
 * One step of ksmd (spec 98 §7.1): tries to merge `page`, which the item's address maps and on
 * which the caller holds a reference. @kernel cmp_and_merge_page
 */
export function* cmpAndMergePage(kernel: Kernel, item: KsmRmapItem, page: number): Op<void> {
  const { memory, ksm, knobs } = kernel;
  if (isOnlyNoted(kernel, item, page)) return;
  let node = ksm.nodeOf(page);
  yield* removeItemFromTree(kernel, item);
  const content = memory.content[page];
  if (node === undefined) {
    if (isChanged(item, content)) return;
    if (knobs.ksmZeroPages && content === 0) {
      if (yield* tryToMergeWithZeroPage(kernel, item, page)) return;
    }
    node = yield* stableTreeSearch(kernel, content);
  }
  if (node === undefined) {
    yield* mergeWithUnstable(kernel, item, page, content);
    return;
  }
  // A page that came through fork joins above the limit of sharing too: it is mapped already.
  if (canInterleave) folioGet(kernel, node.pfn);
  const failed = yield* tryToMergeWithKsmPage(kernel, item, page, node.pfn);
  if (failed === 0) stableTreeAppend(item, node);
  if (canInterleave) folioPut(kernel, node.pfn);
}

/**
 * Whether the item's page is merged already, or is no candidate yet, which the item notes: the step
 * of most pages.
 */
export function isOnlyNoted(kernel: Kernel, item: KsmRmapItem, page: number): boolean {
  const node = kernel.ksm.nodeOf(page);
  if (node !== undefined) return item.node === node;
  if (item.node !== undefined || item.unstablePass !== -1) return false;
  return isChanged(item, kernel.memory.content[page]);
}

/** Only a page that was the same in the last pass is worth it. Linux compares checksums. */
function isChanged(item: KsmRmapItem, content: number): boolean {
  if (item.checksum === content) return false;
  item.checksum = content;
  return true;
}

/** Returns whether the page needs no other try. @kernel try_to_merge_with_zero_page */
function* tryToMergeWithZeroPage(kernel: Kernel, item: KsmRmapItem, page: number): Op<boolean> {
  const { mm, vpn } = item;
  yield* downRead(mm.mmapLock);
  const vma = findMergeableVma(item);
  const failed =
    vma === undefined ? 0 : yield* tryToMergeOnePage(kernel, vma, vpn, page, kernel.memory.zeroPfn);
  yield* upRead(mm.mmapLock);
  return failed === 0;
}

/** Merges with a page of this pass, or leaves the page for a later one to find. */
function* mergeWithUnstable(
  kernel: Kernel,
  item: KsmRmapItem,
  page: number,
  content: number,
): Op<void> {
  const partner = yield* unstableTreeSearchInsert(kernel, item, page, content);
  if (partner === undefined) return;
  const { memory } = kernel;
  const merged = yield* tryToMergeTwoPages(kernel, item, page, partner.item, partner.page);
  const head = memory.folioOf(page);
  const isOneFolio = memory.isLarge(head) && head === memory.folioOf(partner.page);
  folioPut(kernel, memory.folioOf(partner.page));
  if (merged) {
    const node = yield* stableTreeInsert(kernel, page);
    // The two that were merged map it, and whoever shared it with the scanned one.
    node.wasShared = memory.mapcount[page] > 2;
    stableTreeAppend(partner.item, node);
    stableTreeAppend(item, node);
  } else if (isOneFolio) {
    // The two references stood in the way of the split; the next pass finds small pages.
    yield* splitForKsm(kernel, head, page);
  }
}

/** A candidate with the content that is looked for, and its page with a reference. */
interface Partner {
  readonly item: KsmRmapItem;
  readonly page: number;
}

/**
 * The candidate of this pass with the same content. If there is none, the item becomes one; if a
 * candidate on the way is gone, or maps the same page through fork, nothing happens.
 * @kernel unstable_tree_search_insert
 */
function* unstableTreeSearchInsert(
  kernel: Kernel,
  item: KsmRmapItem,
  page: number,
  content: number,
): Op<Partner | undefined> {
  const { unstableTree, passes } = kernel.ksm;
  const { memory } = kernel;
  let candidate = unstableTree.hasShape ? unstableTree.root : unstableTree.get(content);
  while (candidate !== undefined) {
    const candidatePage = yield* getMergeablePage(kernel, candidate);
    if (candidatePage === NIL) return undefined;
    const candidateContent = memory.content[candidatePage];
    if (candidatePage !== page && candidateContent === content) {
      return { item: candidate, page: candidatePage };
    }
    folioPut(kernel, memory.folioOf(candidatePage));
    if (candidatePage === page || !unstableTree.hasShape) return undefined;
    candidate = unstableTree.next(candidate, content, candidateContent);
  }
  unstableTree.insert(item, content, passes);
  return undefined;
}

/** The scanned page becomes the merged one, then the partner's entry is replaced. @kernel try_to_merge_two_pages */
export function* tryToMergeTwoPages(
  kernel: Kernel,
  item: KsmRmapItem,
  page: number,
  partner: KsmRmapItem,
  partnerPage: number,
): Op<boolean> {
  if ((yield* tryToMergeWithKsmPage(kernel, item, page, NIL)) !== 0) return false;
  if ((yield* tryToMergeWithKsmPage(kernel, partner, partnerPage, page)) === 0) return true;
  yield* breakCow(kernel, item);
  return false;
}

/** Merges one page; on success the item holds its VMA's anon_vma. @kernel try_to_merge_with_ksm_page */
export function* tryToMergeWithKsmPage(
  kernel: Kernel,
  item: KsmRmapItem,
  page: number,
  target: number,
): Op<number> {
  const { mm } = item;
  yield* downRead(mm.mmapLock);
  const vma = findMergeableVma(item);
  let failed =
    vma === undefined ? -EFAULT : yield* tryToMergeOnePage(kernel, vma, item.vpn, page, target);
  if (failed === 0) {
    yield* removeItemFromTree(kernel, item);
    const anonVma = vma?.anonVma;
    if (anonVma === undefined) {
      failed = -EFAULT;
    } else {
      item.setAnonVma(anonVma);
      yield* getAnonVma(anonVma);
    }
  }
  yield* upRead(mm.mmapLock);
  return failed;
}

/** Takes a half-done merge back: the page becomes a private copy. @kernel break_cow */
function* breakCow(kernel: Kernel, item: KsmRmapItem): Op<void> {
  const { mm, anonVma } = item;
  item.setAnonVma(undefined);
  yield* putAnonVma(kernel, anonVma);
  yield* downRead(mm.mmapLock);
  const vma = findMergeableVma(item);
  if (vma !== undefined) yield* breakKsm(kernel, vma, item.vpn);
  yield* upRead(mm.mmapLock);
}

/** Page that an item's address maps now, with a reference, or NIL. @kernel get_mergeable_page */
function* getMergeablePage(kernel: Kernel, item: KsmRmapItem): Op<number> {
  const { mm, vpn } = item;
  yield* downRead(mm.mmapLock);
  const page = findMergeableVma(item) === undefined ? NIL : presentPage(kernel, mm, vpn);
  const isAnon = page !== NIL && isAnonFolio(kernel, kernel.memory.folioOf(page));
  if (isAnon) folioGet(kernel, kernel.memory.folioOf(page));
  yield* upRead(mm.mmapLock);
  return isAnon ? page : NIL;
}

/** The VMA of an item, if it may be merged still. @kernel find_mergeable_vma */
function findMergeableVma(item: KsmRmapItem): Vma | undefined {
  const { mm, vpn } = item;
  if (mm.dead) return undefined;
  const vma = findVma(mm, vpn);
  if (vma === undefined || (vma.flags & VM_MERGEABLE) === 0) return undefined;
  return vma.anonVma === undefined ? undefined : vma;
}
