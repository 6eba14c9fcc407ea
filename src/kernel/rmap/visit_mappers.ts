/** Finds the mappings of one page by a walk of the reverse map. */
import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import type { Vma } from '../vm/vma.js';
import { pageVmaMappedWalk, PageVmaMappedWalk } from './page_vma_mapped.js';
import { rmapWalk, type RmapWalkControl } from './rmap_walk.js';

/**
 * Told of one mapping: the VMA, the page in it that shows the wanted one, and the entry. A huge
 * entry is one of PMD level.
 */
export type MapperVisitor = (vma: Vma, vpn: number, entry: number, isHuge: boolean) => void;

interface VisitArg {
  readonly pfn: number;
  readonly walk: PageVmaMappedWalk;
  readonly visit: MapperVisitor;
}

/** Visits every mapping of page `pfn` of a folio, in the order of the walk. */
export function* visitMappers(
  kernel: Kernel,
  head: number,
  pfn: number,
  visit: MapperVisitor,
): Op<void> {
  const arg: VisitArg = { pfn, walk: new PageVmaMappedWalk(), visit };
  const control: RmapWalkControl<VisitArg> = {
    arg,
    tryLock: false,
    contended: false,
    rmapOne: visitInVma,
  };
  yield* rmapWalk(kernel, head, control);
}

function* visitInVma(
  kernel: Kernel,
  head: number,
  vma: Vma,
  vpn: number,
  arg: VisitArg,
): Op<boolean> {
  const { walk, pfn } = arg;
  const { payload } = kernel.pageTables;
  walk.beginFolio(kernel, head, vma, vpn, 0);
  while (yield* pageVmaMappedWalk(kernel, walk)) {
    const isHuge = walk.pte === NIL;
    const entry = isHuge ? walk.pmd : walk.pte;
    const first = payload[entry];
    if (isHuge) arg.visit(vma, walk.vpn + (pfn - first), entry, true);
    else if (first === pfn) arg.visit(vma, walk.vpn, entry, false);
  }
  return true;
}
