import { fail } from '../../base/errors.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
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
 * The merged page with this content that takes another item: the first in the chain with room. New
 * nodes come first, and one that is found here with room for more than one item moves to the front.
 * Dead nodes on the way are dropped. @kernel stable_tree_search
 */
export function* stableTreeSearch(kernel: Kernel, content: number): Op<KsmStableNode | undefined> {
  const open = kernel.ksm.stableTree.get(content)?.open;
  if (open === undefined) return undefined;
  for (let i = 0; i < open.length;) {
    const node = open[i];
    if (!isLiveNode(kernel, node)) {
      yield* removeNode(kernel, node);
      continue;
    }
    if (node.items.length > 0) {
      const isRoomy = node.items.length + 1 < kernel.knobs.ksmMaxSharing;
      if (isRoomy) moveToFront(kernel, open, i);
      return node;
    }
    // Its page is mapped by a fork still, but no item leads to it any more.
    i += 1;
  }
  return undefined;
}

function moveToFront(kernel: Kernel, open: KsmStableNode[], i: number): void {
  const node = open[i];
  node.sequence = kernel.ksm.nextSequence();
  if (i === 0) return;
  open.splice(i, 1);
  open.unshift(node);
}

/** Makes a node for a page that is merged from now on. @kernel stable_tree_insert */
export function stableTreeInsert(kernel: Kernel, pfn: number): KsmStableNode {
  const { ksm, memory } = kernel;
  const content = memory.content[pfn];
  const node = ksm.addNode(pfn, content);
  let chain = ksm.stableTree.get(content);
  if (chain === undefined) {
    chain = new KsmChain();
    ksm.stableTree.set(content, chain);
  }
  chain.open.unshift(node);
  memory.mapping[pfn] = (node.id << 2) | MAPPING_KSM;
  return node;
}

/** Makes an item, whose anon_vma is held, the newest of the node's list. @kernel stable_tree_append */
export function stableTreeAppend(kernel: Kernel, item: KsmRmapItem, node: KsmStableNode): void {
  if (item.node !== undefined) fail(`the KSM item of page ${item.vpn} is on a list already`);
  item.node = node;
  node.items.push(item);
  if (node.items.length !== kernel.knobs.ksmMaxSharing) return;
  const chain = chainOf(kernel, node);
  chain.open.splice(chain.open.indexOf(node), 1);
  chain.full.add(node);
}

function chainOf(kernel: Kernel, node: KsmStableNode): KsmChain {
  const chain = kernel.ksm.stableTree.get(node.content);
  if (chain === undefined) fail(`stable node ${node.id} is not in the tree`);
  return chain;
}

/** Sorts the nodes of all chains anew after the limit of sharing has changed. */
export function resortChains(kernel: Kernel): void {
  for (const chain of kernel.ksm.stableTree.values()) {
    const nodes = [...chain.open, ...chain.full].sort((a, b) => b.sequence - a.sequence);
    chain.open.length = 0;
    chain.full.clear();
    for (const node of nodes) {
      if (node.items.length < kernel.knobs.ksmMaxSharing) chain.open.push(node);
      else chain.full.add(node);
    }
  }
}

/** A full node has room again. */
function reopen(chain: KsmChain, node: KsmStableNode): void {
  if (!chain.full.delete(node)) return;
  const behind = chain.open.findIndex((other) => other.sequence < node.sequence);
  chain.open.splice(behind < 0 ? chain.open.length : behind, 0, node);
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
  if (node.items.length < kernel.knobs.ksmMaxSharing) reopen(chainOf(kernel, node), node);
  yield* detach(kernel, item);
}

/** Drops a node with all its items. @kernel remove_node_from_stable_tree */
export function* removeNode(kernel: Kernel, node: KsmStableNode): Op<void> {
  const { ksm } = kernel;
  const items = node.items.splice(0);
  for (const item of items) yield* detach(kernel, item);
  const chain = chainOf(kernel, node);
  if (!chain.full.delete(node)) chain.open.splice(chain.open.indexOf(node), 1);
  if (chain.open.length + chain.full.size === 0) ksm.stableTree.delete(node.content);
  ksm.dropNode(node);
}

function* detach(kernel: Kernel, item: KsmRmapItem): Op<void> {
  const { anonVma } = item;
  item.node = undefined;
  item.setAnonVma(undefined);
  yield* putAnonVma(kernel, anonVma);
}
