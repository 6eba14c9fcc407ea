import { NIL } from '../../base/units.js';
import { EAGAIN, EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM } from '../errno.js';
import { allocUserFolio } from '../fault/alloc.js';
import { mapCachedPage } from '../fault/file.js';
import { presentFlags, writtenFlags } from '../fault/pte_values.js';
import { addNewCacheFolio, findCachedPage } from '../file/page_cache.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioPut } from '../phys/folio.js';
import { folioAddLruVma } from '../phys/mlock.js';
import {
  KIND_MARKER,
  KIND_MASK,
  PTE_LEAF,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_UFFD_WP,
  PTE_WRITE,
} from '../pgtable/pte.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { folioAddNewAnonRmap } from '../rmap/folio_rmap.js';
import { isShmem, type AddressSpace } from '../vm/address_space.js';
import { MM_ANONPAGES, type Mm } from '../vm/mm.js';
import { vmaEndRead } from '../vm/vma_lock.js';
import { isAnonymous, linearPageIndex, type Vma } from '../vm/vma.js';
import { VM_HUGETLB, VM_SHARED, VM_UFFD_WP } from '../vm/vm_flags.js';
import { isUffdArmed } from './context.js';
import { fillHugetlb } from './hugetlb.js';
import { uffdLockVma } from './lock_vma.js';

/** What is put into the empty entries. */
export interface UffdFill {
  /** Content of each page; undefined = the zero page (UFFDIO_ZEROPAGE). */
  readonly value: number | undefined;
  /** Protect the new pages against writes. @kernel MFILL_ATOMIC_WP */
  readonly isProtected: boolean;
}

/**
 * UFFDIO_COPY and UFFDIO_ZEROPAGE: fills empty entries of a registered range with new pages.
 * Returns 0 or a negative errno; -EAGAIN if only some pages were filled. @kernel mfill_atomic
 */
export function* uffdioFill(
  kernel: Kernel,
  mm: Mm,
  at: number,
  lengthPages: number,
  fill: UffdFill,
): Op<number> {
  if (lengthPages <= 0) return -EINVAL;
  const vma = yield* uffdLockVma(kernel, mm, at);
  if (typeof vma === 'number') return vma;
  const result = yield* fillLocked(kernel, vma, at, lengthPages, fill);
  yield* vmaEndRead(vma);
  return result;
}

function* fillLocked(
  kernel: Kernel,
  vma: Vma,
  at: number,
  lengthPages: number,
  fill: UffdFill,
): Op<number> {
  if (at + lengthPages > vma.end || !isUffdArmed(vma)) return -ENOENT;
  if (fill.isProtected && (vma.flags & VM_UFFD_WP) === 0) return -EINVAL;
  if ((vma.flags & VM_HUGETLB) !== 0) {
    return fillHugetlb(kernel, vma, at, lengthPages, fill);
  }
  const mapping = vma.file?.mapping;
  if (!isAnonymous(vma) && (mapping === undefined || !isShmem(mapping))) return -EINVAL;
  const isShared = (vma.flags & VM_SHARED) !== 0;
  for (let vpn = at; vpn < at + lengthPages; vpn += 1) {
    const failed =
      isShared && mapping !== undefined
        ? fillSharedPage(kernel, vma, vpn, mapping, fill)
        : yield* fillPrivatePage(kernel, vma, vpn, fill);
    if (failed !== 0) return vpn === at ? failed : -EAGAIN;
  }
  return 0;
}

/**
 * The empty PTE of a page, or NIL if something is there. A marker of any kind counts as empty, that
 * of a guard region too.
 */
function emptyEntry(kernel: Kernel, vma: Vma, vpn: number): number {
  const { pageTables } = kernel;
  const pmd = pageTables.allocPmd(vma.mm.pgd, vpn);
  if ((pageTables.flags[pmd] & PTE_LEAF) !== 0) return NIL;
  const entry = pageTables.allocPte(vma.mm.pgd, vpn);
  const pte = pageTables.flags[entry];
  const isMarker = (pte & (PTE_PRESENT | KIND_MASK)) === KIND_MARKER;
  return pte === 0 || isMarker ? entry : NIL;
}

/** @kernel mfill_atomic_pte_copy, mfill_atomic_pte_zeropage */
function* fillPrivatePage(kernel: Kernel, vma: Vma, vpn: number, fill: UffdFill): Op<number> {
  const mapping = vma.file?.mapping;
  if (mapping !== undefined && linearPageIndex(vma, vpn) >= mapping.sizePages) return -EFAULT;
  if (emptyEntry(kernel, vma, vpn) === NIL) return -EEXIST;
  const { pageTables, memory } = kernel;
  if (fill.value === undefined) {
    const entry = emptyEntry(kernel, vma, vpn);
    if (pageTables.flags[entry] !== 0) return -EEXIST;
    pageTables.payload[entry] = memory.zeroPfn;
    pageTables.flags[entry] = presentFlags(vma) | PTE_SPECIAL;
    return 0;
  }
  const page = yield* allocUserFolio(kernel, vma.mm, 0);
  if (page === NIL) return -ENOMEM;
  yield* pageTablesSettled(vma.mm);
  const entry = emptyEntry(kernel, vma, vpn);
  if (entry === NIL) {
    // Another fill or fault was faster.
    folioPut(kernel, page);
    return -EEXIST;
  }
  memory.content[page] = fill.value;
  folioAddNewAnonRmap(kernel, page, vma, vpn, true);
  folioAddLruVma(kernel, page, vma);
  pageTables.payload[entry] = page;
  pageTables.flags[entry] = filledFlags(writtenFlags(vma), fill);
  vma.mm.rss[MM_ANONPAGES] += 1;
  return 0;
}

/** The file gets the page, and the entry maps it. @kernel shmem_mfill_atomic_pte */
function fillSharedPage(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  mapping: AddressSpace,
  fill: UffdFill,
): number {
  const entry = emptyEntry(kernel, vma, vpn);
  if (entry === NIL) return -EEXIST;
  const index = linearPageIndex(vma, vpn);
  if (index >= mapping.sizePages) return -EFAULT;
  if (findCachedPage(mapping, index) !== NIL || mapping.swapped.has(index)) return -EEXIST;
  const page = addNewCacheFolio(kernel, mapping, index, 0, vma.mm.memcg);
  if (page === NIL) return -ENOMEM;
  kernel.memory.content[page] = fill.value ?? 0;
  mapCachedPage(kernel, vma, entry, page, true);
  const { flags } = kernel.pageTables;
  flags[entry] = filledFlags(flags[entry], fill);
  return 0;
}

function filledFlags(pte: number, fill: UffdFill): number {
  return fill.isProtected ? (pte | PTE_UFFD_WP) & ~PTE_WRITE : pte;
}
