/** Lists the mappings of one page by a walk of the reverse map. */
import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { PTE_WRITE } from '../pgtable/pte.js';
import type { Vma } from '../vm/vma.js';
import { pageVmaMappedWalk, PageVmaMappedWalk } from './page_vma_mapped.js';
import { rmapWalk, type RmapWalkControl } from './rmap_walk.js';

/** One entry that shows the page. */
export interface FoundMapper {
  readonly vma: Vma;
  readonly vpn: number;
  readonly isHuge: boolean;
  readonly isWritable: boolean;
}

interface FindArg {
  readonly pfn: number;
  readonly walk: PageVmaMappedWalk;
  readonly found: FoundMapper[];
}

/** Every mapping of page `pfn` of a folio, in the order of the walk. */
export function* findMappers(kernel: Kernel, head: number, pfn: number): Op<FoundMapper[]> {
  const arg: FindArg = { pfn, walk: new PageVmaMappedWalk(), found: [] };
  const control: RmapWalkControl<FindArg> = {
    arg,
    tryLock: false,
    contended: false,
    rmapOne: findInVma,
  };
  yield* rmapWalk(kernel, head, control);
  return arg.found;
}

function* findInVma(
  kernel: Kernel,
  head: number,
  vma: Vma,
  vpn: number,
  arg: FindArg,
): Op<boolean> {
  const { walk, pfn, found } = arg;
  const { payload, flags } = kernel.pageTables;
  walk.beginFolio(kernel, head, vma, vpn, 0);
  while (yield* pageVmaMappedWalk(kernel, walk)) {
    const isHuge = walk.pte === NIL;
    const entry = isHuge ? walk.pmd : walk.pte;
    const first = payload[entry];
    if (!isHuge && first !== pfn) continue;
    const at = isHuge ? walk.vpn + (pfn - first) : walk.vpn;
    found.push({ vma, vpn: at, isHuge, isWritable: (flags[entry] & PTE_WRITE) !== 0 });
  }
  return true;
}
