import { ENTRIES_PER_TABLE, NIL } from '../../base/units.js';
import { EFAULT, EINVAL, ENOMEM, EHWPOISON } from '../errno.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { drainMlock } from '../phys/mlock.js';
import { PTE_LEAF, PTE_PRESENT, PTE_WRITE } from '../pgtable/pte.js';
import { findVma, findVmaIndex, type Mm } from '../vm/mm.js';
import { mappingUnit, type Vma } from '../vm/vma.js';
import {
  VM_ACCESS_FLAGS,
  VM_HUGETLB,
  VM_IO,
  VM_LOCKONFAULT,
  VM_PFNMAP,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
} from '../vm/vm_flags.js';
import { FOLL_FORCE, FOLL_TOUCH, FOLL_WRITE } from './gup_flags.js';
import { getUserPage } from './gup.js';

/**
 * Faults in the pages of [start, end), VMA by VMA, skipping holes (spec 97 §7.1). Returns 0 or a
 * negative errno; with `ignoreErrors` a VMA that fails is left and the next one tried.
 * @kernel __mm_populate
 */
export function* mmPopulate(
  kernel: Kernel,
  mm: Mm,
  start: number,
  end: number,
  ignoreErrors = true,
): Op<number> {
  let at = start;
  while (at < end) {
    const vma = mm.vmas[findVmaIndex(mm, at)];
    if (vma === undefined || vma.start >= end) break;
    const from = Math.max(at, vma.start);
    const to = Math.min(end, vma.end);
    at = to;
    if ((vma.flags & (VM_IO | VM_PFNMAP | VM_LOCKONFAULT)) !== 0) continue;
    const result = yield* populateVma(kernel, vma, from, to);
    if (result < 0 && !ignoreErrors) return result;
  }
  return 0;
}

/** Like a touch of every page: writes where a private mapping is writable. */
function* populateVma(kernel: Kernel, vma: Vma, start: number, end: number): Op<number> {
  let flags = FOLL_TOUCH;
  if ((vma.flags & (VM_WRITE | VM_SHARED)) === VM_WRITE) flags |= FOLL_WRITE;
  if ((vma.flags & VM_ACCESS_FLAGS) !== 0) flags |= FOLL_FORCE;
  return yield* populatePages(kernel, vma, start, end, flags);
}

function* populatePages(
  kernel: Kernel,
  vma: Vma,
  start: number,
  end: number,
  flags: number,
): Op<number> {
  let vpn = start;
  while (vpn < end) {
    const result = yield* getUserPage(kernel, vma.mm, vpn, flags);
    if (result < 0) return result;
    const isPmd = isLeafMapped(kernel, vma, vpn, flags);
    const step = isPmd ? ENTRIES_PER_TABLE : mappingUnit(vma);
    vpn += step - (vpn % step);
  }
  return 0;
}

/** One step covers a huge leaf. */
function isLeafMapped(kernel: Kernel, vma: Vma, vpn: number, flags: number): boolean {
  if ((vma.flags & VM_HUGETLB) !== 0) return false;
  const { pageTables } = kernel;
  const pmd = pageTables.findPmd(vma.mm.pgd, vpn);
  if (pmd === NIL) return false;
  const wanted = PTE_LEAF | PTE_PRESENT | ((flags & FOLL_WRITE) !== 0 ? PTE_WRITE : 0);
  return (pageTables.flags[pmd] & wanted) === wanted;
}

/**
 * MADV_POPULATE_READ and _WRITE: stops at the first page that cannot be had (spec 97 §1.4).
 * Returns 0 or a negative errno. @kernel madvise_populate
 */
export function* madvisePopulate(
  kernel: Kernel,
  mm: Mm,
  start: number,
  end: number,
  isWrite: boolean,
): Op<number> {
  drainMlock(kernel);
  let at = start;
  while (at < end) {
    const vma = findVma(mm, at);
    if (vma === undefined) return -ENOMEM;
    const wanted = isWrite ? VM_WRITE : VM_READ;
    if ((vma.flags & (VM_IO | VM_PFNMAP)) !== 0 || (vma.flags & wanted) === 0) return -EINVAL;
    const to = Math.min(end, vma.end);
    const flags = isWrite ? FOLL_TOUCH | FOLL_WRITE : FOLL_TOUCH;
    const result = yield* populatePages(kernel, vma, at, to, flags);
    if (result < 0) return result === -EHWPOISON || result === -ENOMEM ? result : -EFAULT;
    at = to;
  }
  return 0;
}
