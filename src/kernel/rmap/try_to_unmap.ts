/** Removes all mappings of a folio: reclaim, poison, splits of file folios (spec 40 §5). */
import { fail } from '../../base/errors.js';
import { NIL, PAGES_PER_PMD, tableStart } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioMapcount, folioPageCount, folioPut, isAnonFolio } from '../phys/folio.js';
import { mlockVmaFolio } from '../phys/mlock.js';
import { PG_DIRTY, PG_HUGETLB, PG_SWAPBACKED } from '../phys/page_flags.js';
import { freeDepositedTable } from '../pgtable/deposit.js';
import { PTE_DIRTY } from '../pgtable/pte.js';
import { splitHugePmdLocked } from '../thp/split_pmd.js';
import { MM_ANONPAGES } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import { VM_DROPPABLE, VM_LOCKED } from '../vm/vm_flags.js';
import { folioLockAnonVmaRead } from './folio_anon_vma.js';
import { folioRemoveRmapPmd } from './folio_rmap_remove.js';
import { notifyRangeEnd, notifyRangeStart } from './mmu_notifier.js';
import {
  pageVmaMappedWalk,
  PageVmaMappedWalk,
  pageVmaMappedWalkDone,
  pageVmaMappedWalkRestart,
  PVMW_PGTABLE_CROSSED,
  PVMW_SYNC,
} from './page_vma_mapped.js';
import { rmapWalk, rmapWalkLocked, type RmapWalkControl } from './rmap_walk.js';
import type { TlbBatch } from './tlb_batch.js';
import { flushTlbRange } from './tlb_model.js';
import { TTU_IGNORE_MLOCK, TTU_RMAP_LOCKED, TTU_SPLIT_HUGE_PMD, TTU_SYNC } from './ttu_flags.js';
import { unmapEntries } from './unmap_entries.js';
import { vmaAddressEnd } from './vma_address.js';

/** What the callbacks of one unmap share. */
export class UnmapArg {
  readonly walk = new PageVmaMappedWalk();
  readonly flags: number;
  readonly batch: TlbBatch | undefined;

  constructor(flags: number, batch: TlbBatch | undefined) {
    this.flags = flags;
    this.batch = batch;
  }
}

/**
 * Tries to remove every mapping of a locked folio; the caller holds a reference and asks
 * afterwards whether it is still mapped. A mapping that cannot go stops the walk, earlier ones stay
 * removed.
 *
 * @param flags `TTU_*` bits.
 * @param batch Takes the flushes that may wait (with `TTU_BATCH_FLUSH`).
 * @kernel try_to_unmap
 */
export function* tryToUnmap(
  kernel: Kernel,
  head: number,
  flags: number,
  batch?: TlbBatch,
): Op<void> {
  const control: RmapWalkControl<UnmapArg> = {
    arg: new UnmapArg(flags, batch),
    tryLock: false,
    contended: false,
    rmapOne: tryToUnmapOne,
    done: isUnmapped,
    anonLock: folioLockAnonVmaRead,
  };
  if ((flags & TTU_RMAP_LOCKED) !== 0) yield* rmapWalkLocked(kernel, head, control);
  else yield* rmapWalk(kernel, head, control);
}

/** @kernel folio_not_mapped */
export function isUnmapped(kernel: Kernel, head: number): boolean {
  return folioMapcount(kernel, head) === 0;
}

/** @kernel try_to_unmap_one */
function* tryToUnmapOne(
  kernel: Kernel,
  head: number,
  vma: Vma,
  vpn: number,
  arg: UnmapArg,
): Op<boolean> {
  const { walk } = arg;
  const sync = (arg.flags & TTU_SYNC) === 0 ? 0 : PVMW_SYNC;
  walk.beginFolio(kernel, head, vma, vpn, sync);
  const end = vmaAddressEnd(vma, vpn, walk.pgoff, walk.pageCount);
  notifyRangeStart(kernel, vma.mm, vpn, end, 'clear');
  const goesOn = yield* unmapFound(kernel, head, vma, arg);
  notifyRangeEnd(kernel, vma.mm, vpn, end, 'clear');
  return goesOn;
}

function* unmapFound(kernel: Kernel, head: number, vma: Vma, arg: UnmapArg): Op<boolean> {
  const { walk } = arg;
  const pages = folioPageCount(kernel, head);
  const isKept = (arg.flags & TTU_IGNORE_MLOCK) === 0 && (vma.flags & VM_LOCKED) !== 0;
  const isHugetlb = (kernel.memory.flags[head] & PG_HUGETLB) !== 0;
  let splits = (arg.flags & TTU_SPLIT_HUGE_PMD) !== 0;
  let lockedPtes = 0;
  while (yield* pageVmaMappedWalk(kernel, walk)) {
    const isPmd = walk.pte === NIL && !isHugetlb;
    if (isKept) {
      lockedPtes += 1;
      const isWhole = isPmd || pages === 1 || lockedPtes === pages;
      if (!isWhole || (!isPmd && (walk.flags & PVMW_PGTABLE_CROSSED) !== 0)) continue;
      mlockVmaFolio(kernel, head, vma);
      yield* pageVmaMappedWalkDone(walk);
      return false;
    }
    if (isPmd) {
      const canDiscard = isLazyfree(kernel, head);
      const isGone = canDiscard && discardPmd(kernel, head, vma, walk);
      if (isGone || (canDiscard && !splits)) {
        yield* pageVmaMappedWalkDone(walk);
        return isGone;
      }
      if (!splits) fail(`folio ${head} is unmapped with a huge PMD and may not split it`);
      splitHugePmdLocked(kernel, vma, walk.vpn, walk.pmd, false);
      splits = false;
      yield* pageVmaMappedWalkRestart(walk);
      continue;
    }
    const count = unmapEntries(kernel, head, vma, arg);
    if (count === 0) {
      yield* pageVmaMappedWalkDone(walk);
      return false;
    }
    if (count === pages || isHugetlb) {
      yield* pageVmaMappedWalkDone(walk);
      return true;
    }
    // The walk goes on behind the batch: it looks at each entry once more and finds none there.
  }
  return !isKept || lockedPtes === 0;
}

function isLazyfree(kernel: Kernel, head: number): boolean {
  return isAnonFolio(kernel, head) && (kernel.memory.flags[head] & PG_SWAPBACKED) === 0;
}

/**
 * Drops the PMD mapping of a lazyfree folio that nobody wrote to or refers to otherwise. Returns
 * whether it is gone; a dirty folio is swap-backed again. @kernel __discard_anon_folio_pmd_locked
 */
function discardPmd(kernel: Kernel, head: number, vma: Vma, walk: PageVmaMappedWalk): boolean {
  const { memory, pageTables } = kernel;
  const { pmd } = walk;
  if ((pageTables.flags[pmd] & PTE_DIRTY) !== 0) memory.flags[head] |= PG_DIRTY;
  if ((memory.flags[head] & PG_DIRTY) !== 0 && (vma.flags & VM_DROPPABLE) === 0) {
    kernel.lru.change(head, PG_SWAPBACKED, 0);
    return false;
  }
  // One reference is the caller's.
  if (memory.refcount[head] !== folioMapcount(kernel, head) + 1) return false;
  pageTables.flags[pmd] = 0;
  freeDepositedTable(kernel, pmd);
  const blockStart = tableStart(walk.vpn);
  flushTlbRange(kernel, vma.mm, blockStart, blockStart + PAGES_PER_PMD);
  vma.mm.rss[MM_ANONPAGES] -= PAGES_PER_PMD;
  folioRemoveRmapPmd(kernel, head, vma);
  folioPut(kernel, head);
  return true;
}
