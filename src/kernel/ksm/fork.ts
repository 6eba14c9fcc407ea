import type { Kernel } from '../kernel.js';
import type { Mm } from '../vm/mm.js';
import { ksmEnter } from './register.js';

/**
 * A child of a mergeable process is scanned too, after all others; it has the parent's merged
 * pages but no items for them yet (spec 98 §7.1). @kernel ksm_fork
 */
export function ksmFork(kernel: Kernel, parentMm: Mm, childMm: Mm): void {
  childMm.mergeAny = parentMm.mergeAny;
  if (!parentMm.ksmRegistered) return;
  // The page tables came over whole, and with them the zero pages that ksmd had placed.
  childMm.ksmZeroPages = parentMm.ksmZeroPages;
  ksmEnter(kernel, childMm);
}
