import { NIL } from '../../base/units.js';
import { vmfAnonPrepare } from '../fault/anon_prepare.js';
import {
  FAULT_UNSHARE,
  FAULT_WRITE,
  VM_FAULT_HWPOISON,
  VM_FAULT_RETRY,
  VM_FAULT_SIGBUS,
} from '../fault/fault_flags.js';
import type { Kernel } from '../kernel.js';
import { canInterleave, type Op } from '../op/prims.js';
import { folioGet, setFileMapping } from '../phys/folio.js';
import { PG_DIRTY, PG_HWPOISON } from '../phys/page_flags.js';
import {
  KIND_HWPOISON,
  KIND_MARKER,
  KIND_MASK,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_UFFD_WP,
  PTE_WRITE,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import { hugetlbAddFileRmap, hugetlbAddNewAnonRmap } from '../rmap/folio_rmap.js';
import {
  handleUserfault,
  isUserfaultMissing,
  isUserfaultProtected,
  isUserfaultWp,
} from '../uffd/userfault.js';
import type { AddressSpace } from '../vm/address_space.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';
import { VM_MAYSHARE, VM_SHARED, VM_UFFD_WP } from '../vm/vm_flags.js';
import { allocHugeEntry, findHugeEntry, hugeEntryFlags } from './entry.js';
import { allocHugetlbFolio, hugeOrderOf, hugetlbPoolOf } from './reserve.js';
import { hugetlbWp } from './write_protect.js';

/**
 * Fault in a hugetlb VMA (spec 98 §10, 50 §8). Returns `VM_FAULT_*` bits; SIGBUS if the pool has
 * no page that this mapping may use. @kernel hugetlb_fault
 */
export function* hugetlbFault(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  faultFlags: number,
): Op<number> {
  const order = hugeOrderOf(vma);
  const first = vpn - (vpn % 2 ** order);
  const entry = findHugeEntry(kernel, vma.mm, order, first);
  const { flags } = kernel.pageTables;
  const pte = entry === NIL ? 0 : flags[entry];
  if (pte === 0) {
    if (isUserfaultMissing(vma, first)) return handleUserfault(vma);
    return yield* hugetlbNoPage(kernel, vma, first, faultFlags);
  }
  if ((pte & PTE_PRESENT) === 0) {
    const kind = pte & KIND_MASK;
    if (kind === KIND_HWPOISON) return VM_FAULT_HWPOISON;
    if (kind !== KIND_MARKER) return VM_FAULT_RETRY;
    return yield* hugetlbMarkerFault(kernel, vma, first, entry, faultFlags);
  }
  const wants = faultFlags & (FAULT_WRITE | FAULT_UNSHARE);
  if (wants !== 0 && (pte & PTE_WRITE) === 0) {
    if (wants === FAULT_WRITE && isUserfaultProtected(vma, pte)) {
      if (isUserfaultWp(vma)) return handleUserfault(vma);
      flags[entry] &= ~PTE_UFFD_WP;
    }
    return yield* hugetlbWp(kernel, vma, first, entry, faultFlags);
  }
  flags[entry] |= (faultFlags & FAULT_WRITE) === 0 ? PTE_YOUNG : PTE_YOUNG | PTE_DIRTY;
  return 0;
}

/** An empty entry that is write-protected: what comes there is too, while that is registered. */
function* hugetlbMarkerFault(
  kernel: Kernel,
  vma: Vma,
  first: number,
  entry: number,
  faultFlags: number,
): Op<number> {
  if (isUserfaultMissing(vma, first)) return handleUserfault(vma);
  const { flags } = kernel.pageTables;
  const isProtected = (vma.flags & VM_UFFD_WP) !== 0;
  flags[entry] = 0;
  // A write waits for the protection to be resolved, so nothing is copied for it yet.
  const kept = isProtected ? faultFlags & ~FAULT_WRITE : faultFlags;
  const result = yield* hugetlbNoPage(kernel, vma, first, kept);
  if (!isProtected) return result;
  const pte = flags[entry];
  if ((pte & PTE_PRESENT) !== 0) flags[entry] = (pte | PTE_UFFD_WP) & ~PTE_WRITE;
  else if (pte === 0) flags[entry] = KIND_MARKER;
  return result;
}

/** Nothing is mapped: the page of the file, or a new one even for a read. @kernel hugetlb_no_page */
function* hugetlbNoPage(kernel: Kernel, vma: Vma, first: number, faultFlags: number): Op<number> {
  const mapping = vma.file?.mapping;
  // The owner took pages away from this child: a new one would look like lost data.
  if (mapping === undefined || vma.lostHugePages) return VM_FAULT_SIGBUS;
  const order = hugeOrderOf(vma);
  const pages = 2 ** order;
  const index = linearPageIndex(vma, first);
  if (index >= mapping.sizePages) return VM_FAULT_SIGBUS;
  const isShared = (vma.flags & VM_MAYSHARE) !== 0;
  let head = mapping.pages.get(index) ?? NIL;
  const isCached = head !== NIL;
  if (isCached && (kernel.memory.flags[head] & PG_HWPOISON) !== 0) return VM_FAULT_HWPOISON;
  if (isCached) {
    folioGet(kernel, head);
  } else {
    const failed = isShared ? 0 : yield* vmfAnonPrepare(kernel, vma, faultFlags);
    if (failed !== 0) return failed;
    // Another fault may have been faster: the access looks again.
    const now = canInterleave ? findHugeEntry(kernel, vma.mm, order, first) : NIL;
    if (now !== NIL && kernel.pageTables.flags[now] !== 0) return 0;
    head = allocHugetlbFolio(kernel, vma, first, false);
    if (head === NIL) return VM_FAULT_SIGBUS;
    kernel.memory.content.fill(0, head, head + pages);
    if (isShared) addToHugeCache(kernel, mapping, index, head, pages);
  }
  const entry = allocHugeEntry(kernel, vma.mm, order, first);
  hugetlbPoolOf(kernel, vma).restoresReserve.delete(head);
  if (isCached || isShared) hugetlbAddFileRmap(kernel, head);
  else hugetlbAddNewAnonRmap(kernel, head, vma, first);
  kernel.pageTables.payload[entry] = head;
  kernel.pageTables.flags[entry] = hugeEntryFlags(vma, (vma.flags & VM_SHARED) !== 0);
  vma.mm.hugetlbPages += pages;
  if ((faultFlags & FAULT_WRITE) === 0 || (vma.flags & VM_SHARED) !== 0) return 0;
  return yield* hugetlbWp(kernel, vma, first, entry, faultFlags);
}

/** A new page becomes the file's; such pages are dirty at once. @kernel hugetlb_add_to_page_cache */
export function addToHugeCache(
  kernel: Kernel,
  mapping: AddressSpace,
  index: number,
  head: number,
  pages: number,
): void {
  setFileMapping(kernel, head, mapping, index);
  kernel.memory.flags[head] |= PG_DIRTY;
  folioGet(kernel, head, pages);
  for (let i = 0; i < pages; i += 1) mapping.pages.set(index + i, head + i);
}
