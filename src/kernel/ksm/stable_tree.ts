import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { MAPPING_KSM } from '../phys/memory.js';
import { putAnonVma } from '../rmap/anon_vma.js';
import type { KsmRmapItem, KsmStableNode } from './ksm_types.js';

/**
 * Whether the node's page is still the merged one. A node holds no reference, so its page may have
 * been freed and used again since. @kernel ksm_get_folio
 */
export function isLiveNode(kernel: Kernel, node: KsmStableNode): boolean {
  return kernel.ksm.nodeOf(node.pfn) === node;
}

/**
 * The merged page with this content that takes another item: of several with room the one with the
 * most items, the newest of those (spec 98 §7.2). Dead nodes on the way are dropped.
 * @kernel stable_tree_search
 */
export function* stableTreeSearch(kernel: Kernel, content: number): Op<KsmStableNode | undefined> {
  const chain = kernel.ksm.stableTree.get(content);
  if (chain === undefined) return undefined;
  let found: KsmStableNode | undefined;
  for (const node of chain.slice()) {
    if (!isLiveNode(kernel, node)) {
      yield* removeNode(kernel, node);
    } else if (node.items.length < kernel.knobs.ksmMaxSharing) {
      if (found === undefined || node.items.length > found.items.length) found = node;
    }
  }
  return found;
}

/** Makes a node for a page that is merged from now on. @kernel stable_tree_insert */
export function stableTreeInsert(kernel: Kernel, pfn: number): KsmStableNode {
  const { ksm, memory } = kernel;
  const content = memory.content[pfn];
  const node = ksm.addNode(pfn, content);
  const chain = ksm.stableTree.get(content);
  if (chain === undefined) ksm.stableTree.set(content, [node]);
  else chain.unshift(node);
  memory.mapping[pfn] = (node.id << 2) | MAPPING_KSM;
  return node;
}

/** Puts an item, whose anon_vma is held, at the head of the node's list. @kernel stable_tree_append */
export function stableTreeAppend(item: KsmRmapItem, node: KsmStableNode): void {
  if (item.node !== undefined) fail(`the KSM item of page ${item.vpn} is on a list already`);
  item.node = node;
  node.items.unshift(item);
}

/**
 * Takes an item off its node's list, and puts its anon_vma, or out of the unstable tree.
 * @kernel remove_rmap_item_from_tree
 */
export function* removeItemFromTree(kernel: Kernel, item: KsmRmapItem): Op<void> {
  const { node } = item;
  if (node === undefined) {
    const { unstableTree } = kernel.ksm;
    const key = item.checksum;
    if (key !== undefined && unstableTree.get(key) === item) unstableTree.delete(key);
    return;
  }
  if (!isLiveNode(kernel, node)) {
    yield* removeNode(kernel, node);
    return;
  }
  node.items.splice(node.items.indexOf(item), 1);
  yield* detach(kernel, item);
}

/** Drops a node with all its items. @kernel remove_node_from_stable_tree */
export function* removeNode(kernel: Kernel, node: KsmStableNode): Op<void> {
  const { ksm } = kernel;
  const items = node.items.splice(0);
  for (const item of items) yield* detach(kernel, item);
  const chain = ksm.stableTree.get(node.content);
  if (chain === undefined) fail(`stable node ${node.id} is not in the tree`);
  chain.splice(chain.indexOf(node), 1);
  if (chain.length === 0) ksm.stableTree.delete(node.content);
  ksm.removeNode(node);
}

function* detach(kernel: Kernel, item: KsmRmapItem): Op<void> {
  const { anonVma } = item;
  item.node = undefined;
  item.setAnonVma(undefined);
  yield* putAnonVma(kernel, anonVma);
}
