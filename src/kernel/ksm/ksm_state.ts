import { MAPPING_KSM, MAPPING_TAG_MASK, type Memory } from '../phys/memory.js';
import { ContentTree } from './content_tree.js';
import { type KsmChain, KsmStableNode, type KsmMmSlot } from './ksm_types.js';
import { UnstableTree } from './unstable_tree.js';

/** Everything that ksmd keeps between its passes; empty on a machine that never merges. */
export class KsmState {
  /** Address spaces in the order in which a pass visits them. @kernel ksm_mm_head */
  readonly slots: KsmMmSlot[] = [];
  /** Nodes by id; index 0 is unused. */
  readonly nodes: Array<KsmStableNode | undefined> = [undefined];
  private readonly freeNodeIds: number[] = [];
  /** Merged pages by content. @kernel root_stable_tree */
  readonly stableTree = new ContentTree<KsmChain>();
  readonly unstableTree = new UnstableTree();
  /** Where a pass stands; undefined between passes. @kernel ksm_scan.mm_slot */
  current: KsmMmSlot | undefined = undefined;
  /** Some page was merged at some time: there may be pages without a node, in forks. */
  hasMerged = false;
  /** Passes begun. @kernel ksm_scan.seqnr */
  passes = 0;
  private readonly memory: Memory;

  constructor(memory: Memory) {
    this.memory = memory;
  }

  /** The node that a KSM folio points to; undefined for any other folio. @kernel folio_stable_node */
  nodeOf(head: number): KsmStableNode | undefined {
    const mapping = this.memory.mapping[head];
    return (mapping & MAPPING_TAG_MASK) === MAPPING_KSM ? this.nodes[mapping >> 2] : undefined;
  }

  /** Makes a node for a page that becomes a merged one, first in its chain. @kernel alloc_stable_node */
  addNode(pfn: number, chain: KsmChain): KsmStableNode {
    const id = this.freeNodeIds.pop() ?? this.nodes.length;
    const node = new KsmStableNode(id, pfn, chain);
    this.nodes[id] = node;
    chain.nodes.push(node);
    return node;
  }

  /** @kernel free_stable_node */
  dropNode(node: KsmStableNode): void {
    this.nodes[node.id] = undefined;
    this.freeNodeIds.push(node.id);
  }
}
