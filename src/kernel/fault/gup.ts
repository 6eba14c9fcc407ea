import { NIL, tableIndex } from '../../base/units.js';
import { EFAULT, EHWPOISON, ENOMEM } from '../errno.js';
import { followHugetlbPage } from '../hugetlb/gup.js';
import type { Kernel } from '../kernel.js';
import { readPoint, type Op } from '../op/prims.js';
import { folioMarkAccessed } from '../phys/mark_accessed.js';
import { PG_DIRTY } from '../phys/page_flags.js';
import {
  PTE_DIRTY,
  PTE_LEAF,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_WRITE,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { splitHugePmdLocked } from '../thp/split_pmd.js';
import { findVma, type Mm } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import {
  isCowMapping,
  VM_HUGETLB,
  VM_IO,
  VM_MAYREAD,
  VM_PFNMAP,
  VM_READ,
  VM_SHARED,
  VM_WRITE,
} from '../vm/vm_flags.js';
import {
  FAULT_FORCE,
  FAULT_UNSHARE,
  FAULT_WRITE,
  VM_FAULT_ERROR,
  VM_FAULT_HWPOISON,
  VM_FAULT_OOM,
} from './fault_flags.js';
import {
  FOLL_FORCE,
  FOLL_LONGTERM,
  FOLL_PIN,
  FOLL_SPLIT_PMD,
  FOLL_TOUCH,
  FOLL_WRITE,
} from './gup_flags.js';
import { canFollowWrite, gupMustUnshare, tryGrabFolio } from './gup_grab.js';
import { handleMmFault } from './handle.js';

/** The entry needs a fault before it can be followed. */
const NEEDS_FAULT = -1;
/** The entry needs an unshare fault. */
const NEEDS_UNSHARE = -2;
/** A retry loop longer than this is a bug. */
const RETRY_LIMIT = 16;

/**
 * Gets one page of an mm with faults as needed (spec 30 §5.2). Returns its pfn, grabbed as the
 * flags say, or a negative errno. @kernel __get_user_pages
 */
export function* getUserPage(kernel: Kernel, mm: Mm, vpn: number, flags: number): Op<number> {
  const vma = findVma(mm, vpn);
  if (vma === undefined) return -EFAULT;
  const refused = checkVmaFlags(vma, flags);
  if (refused !== 0) return refused;
  if ((flags & FOLL_PIN) !== 0) mm.hasPinned = true;
  return yield* followOrFault(kernel, vma, vpn, flags);
}

/** Whether the VMA may be accessed this way: 0 or a negative errno. @kernel check_vma_flags */
export function checkVmaFlags(vma: Vma, flags: number): number {
  if ((vma.flags & (VM_IO | VM_PFNMAP)) !== 0) return -EFAULT;
  const isForced = (flags & FOLL_FORCE) !== 0;
  if ((flags & FOLL_WRITE) !== 0) {
    const tracksDirty = vma.file?.mapping.kind === 'tmp' && (vma.flags & VM_SHARED) !== 0;
    if ((flags & FOLL_LONGTERM) !== 0 && tracksDirty) return -EFAULT;
    if ((vma.flags & VM_WRITE) !== 0) return 0;
    return isForced && isCowMapping(vma.flags) ? 0 : -EFAULT;
  }
  if ((vma.flags & VM_READ) !== 0) return 0;
  return isForced && (vma.flags & VM_MAYREAD) !== 0 ? 0 : -EFAULT;
}

function* followOrFault(kernel: Kernel, vma: Vma, vpn: number, flags: number): Op<number> {
  for (let attempt = 0; attempt < RETRY_LIMIT; attempt += 1) {
    // Between a fault and the next look at the entry others may change it.
    yield* readPoint('pte', vpn);
    yield* pageTablesSettled(vma.mm);
    const found = followPage(kernel, vma, vpn, flags);
    if (found >= 0) return found;
    let faultFlags = (flags & FOLL_WRITE) === 0 ? 0 : FAULT_WRITE;
    if (found === NEEDS_UNSHARE) faultFlags = FAULT_UNSHARE;
    if ((flags & FOLL_FORCE) !== 0) faultFlags |= FAULT_FORCE;
    const result = yield* handleMmFault(kernel, vma, vpn, faultFlags);
    if ((result & VM_FAULT_ERROR) !== 0) {
      if ((result & VM_FAULT_OOM) !== 0) return -ENOMEM;
      return (result & VM_FAULT_HWPOISON) !== 0 ? -EHWPOISON : -EFAULT;
    }
  }
  return -EFAULT;
}

/**
 * Looks the page up without a fault: its pfn (grabbed, touched), `NEEDS_FAULT` or `NEEDS_UNSHARE`.
 * @kernel follow_page_mask
 */
function followPage(kernel: Kernel, vma: Vma, vpn: number, flags: number): number {
  if ((vma.flags & VM_HUGETLB) !== 0) return followHugetlbPage(kernel, vma, vpn, flags);
  const { pageTables, memory } = kernel;
  const pmd = pageTables.findPmd(vma.mm.pgd, vpn);
  if (pmd === NIL) return NEEDS_FAULT;
  const isLeaf = (pageTables.flags[pmd] & PTE_LEAF) !== 0;
  if (isLeaf && (flags & FOLL_SPLIT_PMD) !== 0) {
    splitHugePmdLocked(kernel, vma, vpn, pmd, false);
    return followPage(kernel, vma, vpn, flags);
  }
  const entry = isLeaf ? pmd : pageTables.findPte(vma.mm.pgd, vpn);
  if (entry === NIL) return NEEDS_FAULT;
  const pte = pageTables.flags[entry];
  if ((pte & PTE_PRESENT) === 0) return NEEDS_FAULT;
  const base = pageTables.payload[entry];
  const pfn = isLeaf ? base + tableIndex(vpn) : base;
  const isSpecial = (pte & PTE_SPECIAL) !== 0;
  if ((flags & FOLL_WRITE) !== 0 && (pte & PTE_WRITE) === 0) {
    if (isSpecial || !canFollowWrite(kernel, vma, pte, base, flags)) return NEEDS_FAULT;
  }
  if ((pte & PTE_WRITE) === 0 && gupMustUnshare(kernel, vma, flags, base)) return NEEDS_UNSHARE;
  const head = memory.folioOf(pfn);
  tryGrabFolio(kernel, head, 1, flags);
  if ((flags & FOLL_TOUCH) !== 0 && isLeaf) {
    const isWrite = (flags & FOLL_WRITE) !== 0;
    pageTables.flags[entry] |= isWrite ? PTE_YOUNG | PTE_DIRTY : PTE_YOUNG;
  }
  if ((flags & FOLL_TOUCH) !== 0 && !isLeaf && !isSpecial) {
    if (
      (flags & FOLL_WRITE) !== 0 &&
      (pte & PTE_DIRTY) === 0 &&
      (memory.flags[head] & PG_DIRTY) === 0
    ) {
      memory.flags[head] |= PG_DIRTY;
    }
    folioMarkAccessed(kernel, head);
  }
  return pfn;
}
