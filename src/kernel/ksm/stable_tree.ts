import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioMapcount } from '../phys/folio.js';
import { MAPPING_KSM } from '../phys/memory.js';
import { putAnonVma } from '../rmap/anon_vma.js';
import { KsmChain, type KsmRmapItem, type KsmStableNode } from './ksm_types.js';

/**
 * Whether the node's page is still the merged one. A node holds no reference, so its page may have
 * been freed and used again since. @kernel ksm_get_folio
 */
export function isLiveNode(kernel: Kernel, node: KsmStableNode): boolean {
  return kernel.ksm.nodeOf(node.pfn) === node;
}

/**
 * The merged page with this content that takes another item, or undefined. @kernel stable_tree_search
 */
export function* stableTreeSearch(kernel: Kernel, content: number): Op<KsmStableNode | undefined> {
  const found = yield* walkStableTree(kernel, content);
  return found !== undefined && hasRoom(kernel, found, 0) ? found : undefined;
}

/** Makes a node for a page that is merged from now on. @kernel stable_tree_insert */
export function* stableTreeInsert(kernel: Kernel, pfn: number): Op<KsmStableNode> {
  const { ksm, memory } = kernel;
  const content = memory.content[pfn];
  const equal = yield* walkStableTree(kernel, content);
  let chain = equal?.chain;
  if (chain === undefined) {
    chain = new KsmChain(content);
    ksm.stableTree.insert(chain, content);
  } else {
    chain.isChain = true;
  }
  const node = ksm.addNode(pfn, chain);
  memory.mapping[pfn] = (node.id << 2) | MAPPING_KSM;
  return node;
}

/**
 * Goes down the tree to a merged page with this content, with room for another item if there is
 * one; undefined if there is no such page. Whatever chains lie on the way are tidied too.
 */
function* walkStableTree(kernel: Kernel, content: number): Op<KsmStableNode | undefined> {
  const { stableTree } = kernel.ksm;
  let chain = stableTree.root;
  while (chain !== undefined) {
    const node = yield* pickNode(kernel, chain);
    if (node === undefined) {
      // The place is gone.
      chain = stableTree.root;
      continue;
    }
    if (chain.content === content) return node;
    chain = stableTree.next(chain, content, chain.content);
  }
  return undefined;
}

/**
 * The first node of a chain with room, else its first. New nodes come first, and one that is found
 * here with room for more than one item moves to the front. Dead nodes on the way are dropped, and
 * if there is no other the place in the tree too. @kernel stable_node_dup
 */
function* pickNode(kernel: Kernel, chain: KsmChain): Op<KsmStableNode | undefined> {
  const { nodes } = chain;
  let found: KsmStableNode | undefined;
  for (let i = nodes.length - 1; i >= 0; i -= 1) {
    const node = nodes[i];
    if (!isLiveNode(kernel, node)) {
      yield* removeNode(kernel, node);
      continue;
    }
    found ??= node;
    // Without items it is mapped by a fork still, but nothing leads to it any more.
    if (!hasRoom(kernel, node, 0)) continue;
    found = node;
    if (i < nodes.length - 1 && hasRoom(kernel, node, 1)) {
      nodes.splice(i, 1);
      nodes.push(node);
    }
    break;
  }
  if (!chain.isChain) return found;
  if (found === undefined) kernel.ksm.stableTree.remove(chain);
  else if (nodes.length === 1) chain.isChain = false;
  return found;
}

/** Whether a node takes another item, and `more` behind it. @kernel is_page_sharing_candidate */
function hasRoom(kernel: Kernel, node: KsmStableNode, more: number): boolean {
  const { length } = node.items;
  return length > 0 && length + more < kernel.knobs.ksmMaxSharing;
}

/** Makes an item, whose anon_vma is held, the newest of the node's list. @kernel stable_tree_append */
export function stableTreeAppend(item: KsmRmapItem, node: KsmStableNode): void {
  if (item.node !== undefined) fail(`the KSM item of page ${item.vpn} is on a list already`);
  item.node = node;
  node.items.push(item);
}

/**
 * Takes an item off its node's list, and puts its anon_vma, or out of the unstable tree.
 * @kernel remove_rmap_item_from_tree
 */
export function* removeItemFromTree(kernel: Kernel, item: KsmRmapItem): Op<void> {
  const { node } = item;
  if (node === undefined) {
    const { ksm } = kernel;
    if (item.unstablePass === ksm.passes) ksm.unstableTree.remove(item);
    item.unstablePass = -1;
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
  const { chain } = node;
  chain.nodes.splice(chain.nodes.indexOf(node), 1);
  if (!chain.isChain) ksm.stableTree.remove(chain);
  ksm.dropNode(node);
}

function* detach(kernel: Kernel, item: KsmRmapItem): Op<void> {
  const { anonVma } = item;
  item.node = undefined;
  item.setAnonVma(undefined);
  yield* putAnonVma(kernel, anonVma);
}

/**
 * Drops the nodes of pages that nobody maps, from the root of the tree until a mapped one is met.
 * Returns whether the tree is empty now. @kernel remove_all_stable_nodes
 */
export function* removeAllNodes(kernel: Kernel): Op<boolean> {
  const { stableTree } = kernel.ksm;
  for (;;) {
    const chain = stableTree.root;
    if (chain === undefined) return true;
    const { isChain } = chain;
    for (const node of chain.nodes.toReversed()) {
      if (isLiveNode(kernel, node)) {
        // A process that is not mergeable any more keeps it; ksmd finds it as it is.
        if (folioMapcount(kernel, node.pfn) > 0) return false;
        kernel.memory.mapping[node.pfn] = MAPPING_KSM;
      }
      yield* removeNode(kernel, node);
    }
    if (isChain) stableTree.remove(chain);
  }
}
