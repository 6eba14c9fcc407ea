import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioAlloc } from '../phys/folio.js';
import { directReclaim } from '../reclaim/direct.js';
import type { Mm } from '../vm/mm.js';

/**
 * A new folio for user memory, charged to the mm's control group. When no block is free an order-0
 * request reclaims and tries again; larger ones are for the caller to retry smaller.
 * Returns the head pfn or NIL. @kernel vma_alloc_folio
 */
export function* allocUserFolio(kernel: Kernel, mm: Mm, order: number): Op<number> {
  const head = folioAlloc(kernel, order, mm.memcg);
  if (head !== NIL || order !== 0) return head;
  const freed = yield* directReclaim(kernel);
  return freed > 0 ? folioAlloc(kernel, order, mm.memcg) : NIL;
}
