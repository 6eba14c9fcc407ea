/** Turns migration entries back into mappings (spec 40 §7). */
import { NIL, tableStart } from '../../base/units.js';
import { presentFlags } from '../fault/pte_values.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioGet, folioPageCount, isAnonFolio, isKsmFolio } from '../phys/folio.js';
import {
  PG_DEVICE_PRIVATE,
  PG_DIRTY,
  PG_HEAD,
  PG_HUGETLB,
  PG_HWPOISON,
  PG_MLOCKED,
} from '../phys/page_flags.js';
import {
  KIND_DEVICE_READ,
  KIND_DEVICE_WRITE,
  KIND_MASK,
  KIND_MIGRATION_READ,
  KIND_MIGRATION_WRITE,
  PTE_DIRTY,
  PTE_LEAF,
  PTE_SOFT_DIRTY,
  PTE_SPECIAL,
  PTE_UFFD_WP,
  PTE_WRITE,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import { MM_ANONPAGES } from '../vm/mm.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';
import { VM_LOCKED, VM_WRITE } from '../vm/vm_flags.js';
import {
  folioAddAnonRmapPmd,
  folioAddAnonRmapPtes,
  folioAddFileRmapPmd,
  folioAddFileRmapPtes,
} from './folio_rmap_add.js';
import { hugetlbAddAnonRmap, hugetlbAddFileRmap } from './hugetlb_rmap.js';
import {
  pageVmaMappedWalk,
  PageVmaMappedWalk,
  PVMW_MIGRATION,
  PVMW_SYNC,
} from './page_vma_mapped.js';
import { rmapWalk, rmapWalkLocked, type RmapWalkControl } from './rmap_walk.js';

/** The caller holds the rmap lock. @kernel RMP_LOCKED @kernel rmp_flags */
export const RMP_LOCKED = 1;
/** Zero-filled pages become the zero page. @kernel RMP_USE_SHARED_ZEROPAGE */
export const RMP_USE_SHARED_ZEROPAGE = 2;

/** @kernel rmap_walk_arg */
class RestoreArg {
  readonly walk = new PageVmaMappedWalk();
  readonly source: number;
  readonly usesZeroPage: boolean;

  constructor(source: number, usesZeroPage: boolean) {
    this.source = source;
    this.usesZeroPage = usesZeroPage;
  }
}

/**
 * Maps `target` wherever migration entries of `source` are. Both folios are locked, and the target
 * has the source's mapping and index already. With `target` = `source` a failed migration is taken
 * back; only then zero-filled pages may become the zero page.
 *
 * @param flags `RMP_*` bits.
 * @kernel remove_migration_ptes
 */
export function* removeMigrationPtes(
  kernel: Kernel,
  source: number,
  target: number,
  flags: number,
): Op<void> {
  const usesZeroPage = (flags & RMP_USE_SHARED_ZEROPAGE) !== 0 && source === target;
  const control: RmapWalkControl<RestoreArg> = {
    arg: new RestoreArg(source, usesZeroPage),
    tryLock: false,
    contended: false,
    rmapOne: removeMigrationPte,
  };
  if ((flags & RMP_LOCKED) !== 0) yield* rmapWalkLocked(kernel, target, control);
  else yield* rmapWalk(kernel, target, control);
}

/** @kernel remove_migration_pte */
function* removeMigrationPte(
  kernel: Kernel,
  target: number,
  vma: Vma,
  vpn: number,
  arg: RestoreArg,
): Op<boolean> {
  const { walk } = arg;
  const pages = folioPageCount(kernel, target);
  const index = kernel.memory.index[target];
  const isHugetlb = (kernel.memory.flags[target] & PG_HUGETLB) !== 0;
  walk.begin(arg.source, pages, index, vma, vpn, PVMW_SYNC | PVMW_MIGRATION);
  while (yield* pageVmaMappedWalk(kernel, walk)) {
    if (isHugetlb) restoreHugetlb(kernel, target, vma, walk.pte);
    else if (walk.pte === NIL) restorePmd(kernel, target, vma, walk.vpn, walk.pmd);
    else restorePte(kernel, target, vma, arg);
  }
  return true;
}

/** Flags of the present entry that a migration entry becomes. */
function restoredFlags(kernel: Kernel, target: number, vma: Vma, entryFlags: number): number {
  let flags = presentFlags(vma);
  if ((entryFlags & PTE_YOUNG) === 0) flags &= ~PTE_YOUNG;
  const isDirty = (kernel.memory.flags[target] & PG_DIRTY) !== 0;
  if (isDirty && (entryFlags & PTE_DIRTY) !== 0) flags |= PTE_DIRTY;
  flags |= entryFlags & PTE_SOFT_DIRTY;
  const wasWritable = (entryFlags & KIND_MASK) === KIND_MIGRATION_WRITE;
  if (wasWritable && (vma.flags & VM_WRITE) !== 0) flags |= PTE_WRITE;
  else flags |= entryFlags & PTE_UFFD_WP;
  return flags;
}

/** Anything but a plainly readable entry stood for an exclusive page. */
function wasExclusive(entryFlags: number): boolean {
  return (entryFlags & KIND_MASK) !== KIND_MIGRATION_READ;
}

function restorePte(kernel: Kernel, target: number, vma: Vma, arg: RestoreArg): void {
  const { memory, pageTables } = kernel;
  const { walk } = arg;
  const entry = walk.pte;
  const entryFlags = pageTables.flags[entry];
  const isLarge = (memory.flags[target] & PG_HEAD) !== 0;
  const offset = isLarge ? linearPageIndex(vma, walk.vpn) - memory.index[target] : 0;
  const pfn = target + offset;
  if (arg.usesZeroPage && mapsZeroPage(kernel, target, vma, entry, entryFlags)) return;
  folioGet(kernel, target);
  const flags = restoredFlags(kernel, target, vma, entryFlags);
  if (isAnonFolio(kernel, target)) {
    const isExclusive = wasExclusive(entryFlags) && !isKsmFolio(kernel, target);
    folioAddAnonRmapPtes(kernel, target, pfn, 1, vma, walk.vpn, isExclusive);
  } else {
    folioAddFileRmapPtes(kernel, target, pfn, 1, vma);
  }
  pageTables.payload[entry] = pfn;
  pageTables.flags[entry] = isDevicePrivate(kernel, target) ? deviceFlags(flags) : flags;
}

function isDevicePrivate(kernel: Kernel, head: number): boolean {
  return (kernel.memory.flags[head] & PG_DEVICE_PRIVATE) !== 0;
}

/** Device memory is mapped by entries that the CPU faults on. */
function deviceFlags(presentEntry: number): number {
  const kind = (presentEntry & PTE_WRITE) === 0 ? KIND_DEVICE_READ : KIND_DEVICE_WRITE;
  return kind | (presentEntry & (PTE_SOFT_DIRTY | PTE_UFFD_WP));
}

/** A small zero-filled page needs no memory. @kernel try_to_map_unused_to_zeropage */
function mapsZeroPage(
  kernel: Kernel,
  target: number,
  vma: Vma,
  entry: number,
  entryFlags: number,
): boolean {
  const { memory, pageTables } = kernel;
  const isKept = PG_HEAD | PG_HWPOISON | PG_MLOCKED;
  if ((memory.flags[target] & isKept) !== 0 || (vma.flags & VM_LOCKED) !== 0) return false;
  if (memory.content[target] !== 0) return false;
  pageTables.payload[entry] = memory.zeroPfn;
  pageTables.flags[entry] =
    presentFlags(vma) | PTE_SPECIAL | (entryFlags & (PTE_SOFT_DIRTY | PTE_UFFD_WP));
  vma.mm.rss[MM_ANONPAGES] -= 1;
  return true;
}

/** @kernel remove_migration_pmd */
function restorePmd(kernel: Kernel, target: number, vma: Vma, vpn: number, pmd: number): void {
  const { pageTables } = kernel;
  const entryFlags = pageTables.flags[pmd];
  folioGet(kernel, target);
  const blockStart = tableStart(vpn);
  if (isAnonFolio(kernel, target)) {
    folioAddAnonRmapPmd(kernel, target, vma, blockStart, wasExclusive(entryFlags));
  } else {
    folioAddFileRmapPmd(kernel, target, vma);
  }
  pageTables.payload[pmd] = target;
  pageTables.flags[pmd] = restoredFlags(kernel, target, vma, entryFlags) | PTE_LEAF;
}

function restoreHugetlb(kernel: Kernel, target: number, vma: Vma, entry: number): void {
  const { pageTables } = kernel;
  const entryFlags = pageTables.flags[entry];
  folioGet(kernel, target);
  if (isAnonFolio(kernel, target)) {
    hugetlbAddAnonRmap(kernel, target, vma, wasExclusive(entryFlags));
  } else {
    hugetlbAddFileRmap(kernel, target);
  }
  pageTables.payload[entry] = target;
  pageTables.flags[entry] = restoredFlags(kernel, target, vma, entryFlags) | PTE_LEAF;
}
