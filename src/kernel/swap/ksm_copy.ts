import { NIL } from '../../base/units.js';
import { allocUserFolio } from '../fault/alloc.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioAnonVma, isKsmFolio } from '../phys/folio.js';
import { PG_DIRTY } from '../phys/page_flags.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';

/**
 * The page to map at `vpn` for a page of the swap cache: that very page, or a dirty private copy
 * if its position in the reverse map is another, because unrelated pages of a KSM page share its
 * slot. NIL when memory is short. The caller holds a reference on the cached folio.
 * @kernel ksm_might_need_to_copy
 */
export function* copyForKsm(kernel: Kernel, vma: Vma, vpn: number, page: number): Op<number> {
  const { memory } = kernel;
  const head = memory.folioOf(page);
  if (isKsmFolio(kernel, head)) return page;
  const anonVma = folioAnonVma(kernel, head);
  if (anonVma === undefined) return page;
  const index = memory.index[head] + (page - head);
  if (anonVma.root === vma.anonVma?.root && index === linearPageIndex(vma, vpn)) return page;
  const copy = yield* allocUserFolio(kernel, vma.mm, 0);
  if (copy === NIL) return NIL;
  memory.content[copy] = memory.content[page];
  memory.flags[copy] |= PG_DIRTY;
  kernel.work.pagesCopied += 1;
  return copy;
}

/** A merged page came back from swap: ksmd may have dropped the item of a place that was empty. */
export function noteKsmMapping(kernel: Kernel, page: number, vma: Vma, vpn: number): void {
  const node = kernel.ksm.nodes[kernel.memory.mapping[page] >> 2];
  if (node === undefined) return;
  const isListed = node.items.some((item) => item.vpn === vpn && item.mm === vma.mm);
  node.wasShared ||= !isListed;
}
