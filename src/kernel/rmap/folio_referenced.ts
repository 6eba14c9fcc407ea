/** Tests and clears the accessed bits of all mappings of a folio (spec 40 §4). */
import { NIL, PAGES_PER_PMD } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioMapcount, folioMaybeMappedShared, isAnonFolio, isKsmFolio } from '../phys/folio.js';
import { mlockVmaFolio } from '../phys/mlock.js';
import { PG_IDLE, PG_LOCKED, PG_SWAPBACKED, PG_YOUNG } from '../phys/page_flags.js';
import { PTE_PRESENT, PTE_YOUNG } from '../pgtable/pte.js';
import { hasRecency, type Vma } from '../vm/vma.js';
import { VM_LOCKED } from '../vm/vm_flags.js';
import { folioLockAnonVmaRead } from './folio_anon_vma.js';
import { notifyClearYoung } from './mmu_notifier.js';
import {
  pageVmaMappedWalk,
  PageVmaMappedWalk,
  pageVmaMappedWalkDone,
  PVMW_PGTABLE_CROSSED,
} from './page_vma_mapped.js';
import { rmapWalk, type RmapWalkControl } from './rmap_walk.js';

/** What the mappings of a folio say about its use. */
export interface FolioUse {
  /**
   * VMAs that used it since the last call; −1 if the rmap lock was contended, or if the folio is
   * about to go with its only process.
   */
  readonly referenced: number;
  /** Union of the flags of those VMAs; `VM_LOCKED` if some mapping is locked. */
  readonly vmFlags: number;
}

/** @kernel folio_referenced_arg */
class ReferencedArg {
  readonly walk = new PageVmaMappedWalk();
  /** Entries that were not visited yet. */
  mapcount: number;
  referenced = 0;
  vmFlags = 0;
  readonly memcg: number;

  constructor(mapcount: number, memcg: number) {
    this.mapcount = mapcount;
    this.memcg = memcg;
  }
}

/**
 * Asks all mappings whether they used the folio, and makes them forget. File and KSM folios are
 * locked for it; if that fails the folio counts as used once. With a control group only address
 * spaces of that group are asked.
 *
 * @param isLocked The caller holds the folio lock.
 * @param memcg Control group, 0 = all.
 * @kernel folio_referenced
 */
export function* folioReferenced(
  kernel: Kernel,
  head: number,
  isLocked: boolean,
  memcg: number,
): Op<FolioUse> {
  const mapcount = folioMapcount(kernel, head);
  const { flags, mapping } = kernel.memory;
  if (mapcount === 0 || mapping[head] === 0) return { referenced: 0, vmFlags: 0 };
  const needsLock = !isLocked && (!isAnonFolio(kernel, head) || isKsmFolio(kernel, head));
  if (needsLock) {
    if ((flags[head] & PG_LOCKED) !== 0) return { referenced: 1, vmFlags: 0 };
    flags[head] |= PG_LOCKED;
  }
  const arg = new ReferencedArg(mapcount, memcg);
  const control: RmapWalkControl<ReferencedArg> = {
    arg,
    tryLock: true,
    contended: false,
    rmapOne: referencedOne,
    anonLock: folioLockAnonVmaRead,
    invalidVma: isInvalidVma,
  };
  yield* rmapWalk(kernel, head, control);
  if (needsLock) flags[head] &= ~PG_LOCKED;
  return { referenced: control.contended ? -1 : arg.referenced, vmFlags: arg.vmFlags };
}

/** Accesses through these say nothing about future use. @kernel invalid_folio_referenced_vma */
function isInvalidVma(vma: Vma, arg: ReferencedArg): boolean {
  if (!hasRecency(vma)) return true;
  return arg.memcg !== 0 && vma.mm.memcg !== arg.memcg;
}

/** Swapping out what a dying process frees in a moment is wasted work. */
function diesWithMm(kernel: Kernel, head: number, vma: Vma): boolean {
  if (vma.mm.users > 0 || !isAnonFolio(kernel, head)) return false;
  if ((kernel.memory.flags[head] & PG_SWAPBACKED) === 0) return false;
  return !folioMaybeMappedShared(kernel, head);
}

/** @kernel folio_referenced_one */
function* referencedOne(
  kernel: Kernel,
  head: number,
  vma: Vma,
  vpn: number,
  arg: ReferencedArg,
): Op<boolean> {
  const { walk } = arg;
  const { flags } = kernel.memory;
  let referenced = 0;
  let lockedPtes = 0;
  walk.beginFolio(kernel, head, vma, vpn, 0);
  while (yield* pageVmaMappedWalk(kernel, walk)) {
    const isPmd = walk.pte === NIL;
    arg.mapcount -= 1;
    if ((vma.flags & VM_LOCKED) !== 0) {
      lockedPtes += 1;
      const isWhole = isPmd || lockedPtes === walk.pageCount;
      // A folio that is locked as a whole in one table gets its lock back, should it be lost.
      if (!isWhole || (!isPmd && (walk.flags & PVMW_PGTABLE_CROSSED) !== 0)) continue;
      mlockVmaFolio(kernel, head, vma);
      yield* pageVmaMappedWalkDone(walk);
      arg.vmFlags |= VM_LOCKED;
      return false;
    }
    if (diesWithMm(kernel, head, vma)) {
      yield* pageVmaMappedWalkDone(walk);
      arg.referenced = -1;
      return false;
    }
    const entry = isPmd ? walk.pmd : walk.pte;
    const entries = kernel.pageTables.flags;
    const span = isPmd ? PAGES_PER_PMD : 1;
    let isYoung = notifyClearYoung(kernel, vma.mm, walk.vpn, walk.vpn + span);
    if ((entries[entry] & (PTE_PRESENT | PTE_YOUNG)) === (PTE_PRESENT | PTE_YOUNG)) {
      entries[entry] &= ~PTE_YOUNG;
      isYoung = true;
    }
    if (isYoung) referenced += 1;
  }
  if (referenced > 0) flags[head] &= ~PG_IDLE;
  if ((flags[head] & PG_YOUNG) !== 0) {
    flags[head] &= ~PG_YOUNG;
    referenced += 1;
  }
  if (referenced > 0) {
    arg.referenced += 1;
    arg.vmFlags |= vma.flags & ~VM_LOCKED;
  }
  return arg.mapcount > 0;
}
