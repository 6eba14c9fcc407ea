import type { Kernel } from '../kernel.js';
import type { KsmRmapItem } from './ksm_types.js';

/** Items of a KSM folio, newest first; none for any other folio. */
export function ksmItemsOf(kernel: Kernel, head: number): readonly KsmRmapItem[] {
  return (kernel.ksm.nodeOf(head)?.items ?? []).toReversed();
}
