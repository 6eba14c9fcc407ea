/** Replaces all mappings of a folio by migration entries (spec 40 §6). */
import { NIL, PAGES_PER_PMD, tableStart } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioPageCount, folioPut, isAnonFolio, isKsmFolio } from '../phys/folio.js';
import { drainMlockOf } from '../phys/mlock.js';
import {
  PG_ANON_EXCLUSIVE,
  PG_DIRTY,
  PG_HUGETLB,
  PG_HWPOISON,
  PG_SWAPBACKED,
} from '../phys/page_flags.js';
import {
  KIND_DEVICE_WRITE,
  KIND_HWPOISON,
  KIND_MASK,
  PTE_DIRTY,
  PTE_LEAF,
  PTE_PRESENT,
  PTE_WRITE,
} from '../pgtable/pte.js';
import { migrationFlags, splitHugePmdLocked } from '../thp/split_pmd.js';
import type { Vma } from '../vm/vma.js';
import { folioLockAnonVmaRead } from './folio_anon_vma.js';
import { folioRemoveRmapPmd, folioRemoveRmapPtes } from './folio_rmap_remove.js';
import { folioTryShareAnonRmapPmd, folioTryShareAnonRmapPte } from './folio_rmap_share.js';
import { hugetlbRemoveRmap, hugetlbTryShareAnonRmap } from './hugetlb_rmap.js';
import { notifyRangeEnd, notifyRangeStart } from './mmu_notifier.js';
import {
  pageVmaMappedWalk,
  type PageVmaMappedWalk,
  pageVmaMappedWalkDone,
  pageVmaMappedWalkRestart,
  PVMW_SYNC,
} from './page_vma_mapped.js';
import { rmapWalk, rmapWalkLocked, type RmapWalkControl } from './rmap_walk.js';
import { setFlushPending, shouldDeferFlush, type TlbBatch } from './tlb_batch.js';
import { flushTlbRange } from './tlb_model.js';
import { isUnmapped, UnmapArg } from './try_to_unmap.js';
import { TTU_BATCH_FLUSH, TTU_RMAP_LOCKED, TTU_SPLIT_HUGE_PMD, TTU_SYNC } from './ttu_flags.js';
import { counterOf, isUnusedPte } from './unmap_entries.js';
import { vmaAddressEnd } from './vma_address.js';

const LEGAL_FLAGS = TTU_RMAP_LOCKED | TTU_SPLIT_HUGE_PMD | TTU_SYNC | TTU_BATCH_FLUSH;

/**
 * Tries to give every mapping of a locked folio a migration entry; the caller asks afterwards
 * whether it is still mapped. Locked VMAs do not hinder; a page that may be pinned does. Flags
 * other than RMAP_LOCKED, SPLIT_HUGE_PMD, SYNC and BATCH_FLUSH make it do nothing.
 * @kernel try_to_migrate
 */
export function* tryToMigrate(
  kernel: Kernel,
  head: number,
  flags: number,
  batch?: TlbBatch,
): Op<void> {
  if ((flags & ~LEGAL_FLAGS) !== 0) return;
  const skipsStacks = isAnonFolio(kernel, head) && !isKsmFolio(kernel, head);
  const control: RmapWalkControl<UnmapArg> = {
    arg: new UnmapArg(flags, batch),
    tryLock: false,
    contended: false,
    rmapOne: tryToMigrateOne,
    done: isUnmapped,
    anonLock: folioLockAnonVmaRead,
    // The stack of an exec in progress is about to be moved without the rmap locks.
    ...(skipsStacks ? { invalidVma: (vma: Vma) => vma.isTemporaryStack } : {}),
  };
  if ((flags & TTU_RMAP_LOCKED) !== 0) yield* rmapWalkLocked(kernel, head, control);
  else yield* rmapWalk(kernel, head, control);
}

/** @kernel try_to_migrate_one */
function* tryToMigrateOne(
  kernel: Kernel,
  head: number,
  vma: Vma,
  vpn: number,
  arg: UnmapArg,
): Op<boolean> {
  const { walk } = arg;
  const isHugetlb = (kernel.memory.flags[head] & PG_HUGETLB) !== 0;
  const sync = (arg.flags & TTU_SYNC) === 0 ? 0 : PVMW_SYNC;
  let splits = (arg.flags & TTU_SPLIT_HUGE_PMD) !== 0;
  walk.beginFolio(kernel, head, vma, vpn, sync);
  const end = vmaAddressEnd(vma, vpn, walk.pgoff, walk.pageCount);
  notifyRangeStart(kernel, vma.mm, vpn, end, 'clear');
  let goesOn = true;
  while (goesOn && (yield* pageVmaMappedWalk(kernel, walk))) {
    if (walk.pte === NIL && splits) {
      // Freezing makes migration entries at once, unless the folio is pinned: then the walk finds
      // present entries again and stops at them.
      splitHugePmdLocked(kernel, vma, walk.vpn, walk.pmd, true);
      splits = false;
      yield* pageVmaMappedWalkRestart(walk);
      continue;
    }
    if (isHugetlb) goesOn = migrateHugeEntry(kernel, head, vma, arg);
    else if (walk.pte === NIL) goesOn = setPmdMigrationEntry(kernel, head, vma, walk);
    else goesOn = migrateEntry(kernel, head, vma, arg);
    if (!goesOn) yield* pageVmaMappedWalkDone(walk);
  }
  notifyRangeEnd(kernel, vma.mm, vpn, end, 'clear');
  return goesOn;
}

/** One PTE; false if it must stay. The page-table lock is held. */
function migrateEntry(kernel: Kernel, head: number, vma: Vma, arg: UnmapArg): boolean {
  const { memory, pageTables } = kernel;
  const { walk } = arg;
  const entry = walk.pte;
  const pte = pageTables.flags[entry];
  const pfn = pageTables.payload[entry];
  const isPresent = (pte & PTE_PRESENT) !== 0;
  const isAnon = isAnonFolio(kernel, head);
  const isPoisoned = (memory.flags[pfn] & PG_HWPOISON) !== 0;
  const isDropped = !isPoisoned && isUnusedPte(pte, vma);
  const isExclusive = isAnon && (memory.flags[pfn] & PG_ANON_EXCLUSIVE) !== 0;
  if (isExclusive && !isPoisoned && !isDropped) {
    // The entry is cleared before exclusiveness goes, so that GUP-fast sees one or the other.
    pageTables.flags[entry] = 0;
    if (folioTryShareAnonRmapPte(kernel, head, pfn) !== 0) {
      pageTables.flags[entry] = pte;
      return false;
    }
  }
  if (isPresent) {
    if (shouldDeferFlush(kernel, vma.mm, arg.flags, arg.batch)) {
      setFlushPending(arg.batch, vma.mm, pte);
    } else {
      flushTlbRange(kernel, vma.mm, walk.vpn, walk.vpn + 1);
    }
    if ((pte & PTE_DIRTY) !== 0) memory.flags[head] |= PG_DIRTY;
  }
  if (isPoisoned || isDropped) {
    // Nothing will be mapped here again: the page leaves the mm's count.
    pageTables.flags[entry] = isPoisoned ? KIND_HWPOISON : 0;
    vma.mm.rss[counterOf(isAnon, (memory.flags[head] & PG_SWAPBACKED) !== 0)] -= 1;
  } else {
    const isWritable = isPresent
      ? (pte & PTE_WRITE) !== 0
      : (pte & KIND_MASK) === KIND_DEVICE_WRITE;
    const bits = isPresent ? pte & ~KIND_MASK : pte & ~(KIND_MASK | PTE_WRITE);
    pageTables.flags[entry] = migrationFlags(isWritable ? bits | PTE_WRITE : bits, isExclusive);
  }
  folioRemoveRmapPtes(kernel, head, pfn, 1, vma);
  drainMlockOf(kernel, vma);
  folioPut(kernel, head);
  return true;
}

/**
 * A whole PMD becomes one migration entry; false if the folio may be pinned.
 * @kernel set_pmd_migration_entry
 */
function setPmdMigrationEntry(
  kernel: Kernel,
  head: number,
  vma: Vma,
  walk: PageVmaMappedWalk,
): boolean {
  const { memory, pageTables } = kernel;
  const { pmd } = walk;
  const pte = pageTables.flags[pmd];
  const isExclusive = isAnonFolio(kernel, head) && (memory.flags[head] & PG_ANON_EXCLUSIVE) !== 0;
  if (isExclusive) {
    pageTables.flags[pmd] = 0;
    if (folioTryShareAnonRmapPmd(kernel, head) !== 0) {
      pageTables.flags[pmd] = pte;
      return false;
    }
  }
  if ((pte & PTE_DIRTY) !== 0) memory.flags[head] |= PG_DIRTY;
  pageTables.flags[pmd] = migrationFlags(pte, isExclusive) | PTE_LEAF;
  const blockStart = tableStart(walk.vpn);
  flushTlbRange(kernel, vma.mm, blockStart, blockStart + PAGES_PER_PMD);
  folioRemoveRmapPmd(kernel, head, vma);
  folioPut(kernel, head);
  return true;
}

function migrateHugeEntry(kernel: Kernel, head: number, vma: Vma, arg: UnmapArg): boolean {
  const { memory, pageTables } = kernel;
  const entry = arg.walk.pte;
  const pte = pageTables.flags[entry];
  const isExclusive = isAnonFolio(kernel, head) && (memory.flags[head] & PG_ANON_EXCLUSIVE) !== 0;
  pageTables.flags[entry] = 0;
  flushTlbRange(kernel, vma.mm, arg.walk.vpn, arg.walk.vpn + folioPageCount(kernel, head));
  if (isExclusive && hugetlbTryShareAnonRmap(kernel, head) !== 0) {
    pageTables.flags[entry] = pte;
    return false;
  }
  if ((pte & PTE_DIRTY) !== 0) memory.flags[head] |= PG_DIRTY;
  const isPoisoned = (memory.flags[head] & PG_HWPOISON) !== 0;
  if (isPoisoned) {
    pageTables.flags[entry] = KIND_HWPOISON;
    vma.mm.hugetlbPages -= folioPageCount(kernel, head);
  } else {
    pageTables.flags[entry] = migrationFlags(pte, isExclusive) | PTE_LEAF;
  }
  hugetlbRemoveRmap(kernel, head);
  folioPut(kernel, head);
  return true;
}
