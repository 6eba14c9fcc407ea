import type { Kernel } from '../kernel.js';

/** Page frames [from, to). */
export interface PageRange {
  readonly from: number;
  readonly to: number;
}

/** NUMA nodes of the machine; 1 unless the profile says otherwise. @kernel nr_online_nodes */
export function nodeCount(kernel: Kernel): number {
  return kernel.profile.nodePages.length + 1;
}

/** Page frames of a node. */
export function nodeRange(kernel: Kernel, node: number): PageRange {
  const { nodePages } = kernel.profile;
  let from = 0;
  for (let i = 0; i < node; i += 1) from += nodePages[i];
  const isLast = node >= nodePages.length;
  return { from, to: isLast ? kernel.memory.pageCount : from + nodePages[node] };
}

/** Takes free blocks of a node. @kernel alloc_migration_target */
export function nodeAllocator(kernel: Kernel, node: number): (order: number) => number {
  const { from, to } = nodeRange(kernel, node);
  return (order) => kernel.memory.allocPagesIn(order, from, to);
}

/** Node of a page frame. @kernel page_to_nid */
export function nodeOfPage(kernel: Kernel, pfn: number): number {
  const { nodePages } = kernel.profile;
  let end = 0;
  for (let node = 0; node < nodePages.length; node += 1) {
    end += nodePages[node];
    if (pfn < end) return node;
  }
  return nodePages.length;
}
