import type { Kernel } from '../kernel.js';
import { MAPPING_KSM, MAPPING_TAG_MASK } from '../phys/memory.js';
import type { KsmRmapItem, KsmStableNode } from './ksm_types.js';

/** The node that a KSM folio points to; undefined for any other folio. @kernel folio_stable_node */
export function folioStableNode(kernel: Kernel, head: number): KsmStableNode | undefined {
  const mapping = kernel.memory.mapping[head];
  return (mapping & MAPPING_TAG_MASK) === MAPPING_KSM ? kernel.ksm.nodes[mapping >> 2] : undefined;
}

/** Items of a KSM folio, newest first; none for any other folio. */
export function ksmItemsOf(kernel: Kernel, head: number): readonly KsmRmapItem[] {
  return folioStableNode(kernel, head)?.items ?? [];
}
