import { NIL, PAGES_PER_PMD, PMD_ORDER } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { folioAlloc } from '../phys/folio.js';
import { PG_ZERO } from '../phys/page_flags.js';

/**
 * Head pfn of the huge zero folio, allocated when first needed and kept from then on; NIL if there
 * is no free block. Never counted and on no list. @kernel mm_get_huge_zero_folio
 */
export function hugeZeroFolio(kernel: Kernel): number {
  const { memory } = kernel;
  if (memory.hugeZeroPfn !== NIL) return memory.hugeZeroPfn;
  const head = folioAlloc(kernel, PMD_ORDER, 0);
  if (head === NIL) return NIL;
  memory.content.fill(0, head, head + PAGES_PER_PMD);
  memory.flags[head] |= PG_ZERO;
  memory.hugeZeroPfn = head;
  return head;
}
