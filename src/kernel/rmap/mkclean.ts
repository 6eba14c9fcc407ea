/** Makes shared mappings clean and read-only, so that the next write is noticed (spec 40 §8). */
import { fail } from '../../base/errors.js';
import { NIL, PAGES_PER_PMD } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioMapcount, folioMapping } from '../phys/folio.js';
import { PTE_DIRTY, PTE_PRESENT, PTE_WRITE } from '../pgtable/pte.js';
import type { AddressSpace } from '../vm/address_space.js';
import type { Vma } from '../vm/vma.js';
import { VM_SHARED } from '../vm/vm_flags.js';
import { notifyRangeEnd, notifyRangeStart } from './mmu_notifier.js';
import { pageVmaMappedWalk, PageVmaMappedWalk, PVMW_SYNC } from './page_vma_mapped.js';
import { rmapWalk, rmapWalkFileRange, type RmapWalkControl } from './rmap_walk.js';
import { flushTlbRange } from './tlb_model.js';
import { vmaAddress, vmaAddressEnd } from './vma_address.js';

/** State of one cleaning walk. */
class CleanArg {
  readonly walk = new PageVmaMappedWalk();
  cleaned = 0;
  /** The pages, for a walk without folio. */
  readonly pfn: number;
  readonly pageCount: number;
  readonly pgoff: number;

  constructor(pfn: number, pageCount: number, pgoff: number) {
    this.pfn = pfn;
    this.pageCount = pageCount;
    this.pgoff = pgoff;
  }
}

/**
 * Cleans every shared mapping of a locked file folio. The dirtiness found is not kept: the caller
 * marks the folio dirty if it still needs to know. Returns the number of entries changed.
 * @kernel folio_mkclean
 */
export function* folioMkclean(kernel: Kernel, head: number): Op<number> {
  if (folioMapcount(kernel, head) === 0 || folioMapping(kernel, head) === undefined) return 0;
  const control: RmapWalkControl<CleanArg> = {
    arg: new CleanArg(NIL, 0, 0),
    tryLock: false,
    contended: false,
    rmapOne: cleanFolioOne,
    invalidVma: isNotShared,
  };
  yield* rmapWalk(kernel, head, control);
  return control.arg.cleaned;
}

/**
 * The same for memory that a driver maps under a file's offsets without folio of that file:
 * `pageCount` pages from `pfn`, mapped at file page `pgoff`. @kernel mapping_wrprotect_range
 */
export function* mappingWrprotectRange(
  kernel: Kernel,
  mapping: AddressSpace | undefined,
  pgoff: number,
  pfn: number,
  pageCount: number,
): Op<number> {
  if (mapping === undefined) return 0;
  const control: RmapWalkControl<CleanArg> = {
    arg: new CleanArg(pfn, pageCount, pgoff),
    tryLock: false,
    contended: false,
    rmapOne: cleanRangeOne,
    invalidVma: isNotShared,
  };
  yield* rmapWalkFileRange(kernel, NIL, mapping, pgoff, pageCount, control, false);
  return control.arg.cleaned;
}

/** The same for one VMA; the i_mmap lock is held. @kernel pfn_mkclean_range */
export function* pfnMkcleanRange(
  kernel: Kernel,
  pfn: number,
  pageCount: number,
  pgoff: number,
  vma: Vma,
): Op<number> {
  if (isNotShared(vma)) return 0;
  const vpn = vmaAddress(vma, pgoff, pageCount);
  if (vpn < 0) fail(`file pages ${pgoff}+${pageCount} are not mapped by the VMA`);
  const arg = new CleanArg(pfn, pageCount, pgoff);
  yield* cleanRangeOne(kernel, NIL, vma, vpn, arg);
  return arg.cleaned;
}

/** @kernel invalid_mkclean_vma */
function isNotShared(vma: Vma): boolean {
  return (vma.flags & VM_SHARED) === 0;
}

function* cleanFolioOne(
  kernel: Kernel,
  head: number,
  vma: Vma,
  vpn: number,
  arg: CleanArg,
): Op<boolean> {
  arg.walk.beginFolio(kernel, head, vma, vpn, PVMW_SYNC);
  yield* cleanFound(kernel, arg);
  return true;
}

/** @kernel mapping_wrprotect_range_one */
function* cleanRangeOne(
  kernel: Kernel,
  _head: number,
  vma: Vma,
  vpn: number,
  arg: CleanArg,
): Op<boolean> {
  arg.walk.begin(arg.pfn, arg.pageCount, arg.pgoff, vma, vpn, PVMW_SYNC);
  yield* cleanFound(kernel, arg);
  return true;
}

/** @kernel page_vma_mkclean_one */
function* cleanFound(kernel: Kernel, arg: CleanArg): Op<void> {
  const { walk } = arg;
  const { mm } = walk.vma;
  const start = walk.vpn;
  const end = vmaAddressEnd(walk.vma, walk.vpn, walk.pgoff, walk.pageCount);
  notifyRangeStart(kernel, mm, start, end, 'protectionPage');
  while (yield* pageVmaMappedWalk(kernel, walk)) {
    const { flags } = kernel.pageTables;
    const isPmd = walk.pte === NIL;
    const entry = isPmd ? walk.pmd : walk.pte;
    const entryFlags = flags[entry];
    if ((entryFlags & PTE_PRESENT) === 0 || (entryFlags & (PTE_DIRTY | PTE_WRITE)) === 0) continue;
    flags[entry] = entryFlags & ~(PTE_DIRTY | PTE_WRITE);
    flushTlbRange(kernel, mm, walk.vpn, walk.vpn + (isPmd ? PAGES_PER_PMD : 1));
    arg.cleaned += 1;
  }
  notifyRangeEnd(kernel, mm, start, end, 'protectionPage');
}
