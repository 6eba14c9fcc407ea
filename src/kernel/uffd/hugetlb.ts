import { NIL } from '../../base/units.js';
import { EAGAIN, EEXIST, EFAULT, EINVAL, ENOMEM } from '../errno.js';
import { allocHugeEntry, findHugeEntry, hugeEntryFlags } from '../hugetlb/entry.js';
import { addToHugeCache } from '../hugetlb/fault.js';
import { allocHugetlbFolio, hugeOrderOf, hugetlbPoolOf } from '../hugetlb/reserve.js';
import type { Kernel } from '../kernel.js';
import {
  KIND_MARKER,
  KIND_MASK,
  MARKER_UFFD_WP,
  PTE_PRESENT,
  PTE_UFFD_WP,
  PTE_WRITE,
} from '../pgtable/pte.js';
import { hugetlbAddFileRmap, hugetlbAddNewAnonRmap } from '../rmap/folio_rmap.js';
import type { AddressSpace } from '../vm/address_space.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';
import { VM_SHARED } from '../vm/vm_flags.js';
import type { UffdFill } from './copy.js';

/** Whether a range begins and ends where huge pages of the VMA do. */
export function isHugeAligned(vma: Vma, start: number, end: number): boolean {
  const pages = 2 ** hugeOrderOf(vma);
  return start % pages === 0 && end % pages === 0;
}

/**
 * Sets or clears the write protection of whole huge pages. One that is resolved, protected or not,
 * becomes writable with the next write only. @kernel hugetlb_change_protection
 */
export function changeHugetlbUffdWp(
  kernel: Kernel,
  vma: Vma,
  start: number,
  end: number,
  isOn: boolean,
): void {
  const order = hugeOrderOf(vma);
  for (let at = start; at < end; at += 2 ** order) {
    let entry = findHugeEntry(kernel, vma.mm, order, at);
    if (entry === NIL) {
      if (!isOn) continue;
      entry = allocHugeEntry(kernel, vma.mm, order, at);
    }
    const { flags, payload } = kernel.pageTables;
    const pte = flags[entry];
    if (pte === 0) {
      if (!isOn) continue;
      flags[entry] = KIND_MARKER;
      payload[entry] = MARKER_UFFD_WP;
    } else if (isUffdMarker(kernel, entry)) {
      if (!isOn) flags[entry] = 0;
    } else if ((pte & (PTE_PRESENT | KIND_MASK)) !== 0) {
      const resolved = pte & ~(PTE_UFFD_WP | PTE_WRITE);
      flags[entry] = isOn ? resolved | PTE_UFFD_WP : resolved;
    }
  }
}

function isUffdMarker(kernel: Kernel, entry: number): boolean {
  const { flags, payload } = kernel.pageTables;
  const isMarker = (flags[entry] & (PTE_PRESENT | KIND_MASK)) === KIND_MARKER;
  return isMarker && payload[entry] === MARKER_UFFD_WP;
}

/**
 * UFFDIO_COPY into hugetlb memory, whole huge pages only; the range lies in the VMA. Returns 0 or
 * a negative errno. @kernel mfill_atomic_hugetlb
 */
export function fillHugetlb(
  kernel: Kernel,
  vma: Vma,
  at: number,
  lengthPages: number,
  fill: UffdFill,
): number {
  const mapping = vma.file?.mapping;
  if (mapping === undefined || fill.value === undefined) return -EINVAL;
  if (!isHugeAligned(vma, at, at + lengthPages)) return -EINVAL;
  for (let vpn = at; vpn < at + lengthPages; vpn += 2 ** hugeOrderOf(vma)) {
    const failed = fillHugePage(kernel, vma, vpn, mapping, fill.value, fill.isProtected);
    if (failed !== 0) return vpn === at ? failed : -EAGAIN;
  }
  return 0;
}

/** @kernel hugetlb_mfill_atomic_pte */
function fillHugePage(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  mapping: AddressSpace,
  value: number,
  isProtected: boolean,
): number {
  const order = hugeOrderOf(vma);
  const pages = 2 ** order;
  const entry = allocHugeEntry(kernel, vma.mm, order, vpn);
  const { flags, payload } = kernel.pageTables;
  if (flags[entry] !== 0 && !isUffdMarker(kernel, entry)) return -EEXIST;
  const index = linearPageIndex(vma, vpn);
  const isShared = (vma.flags & VM_SHARED) !== 0;
  if (index >= mapping.sizePages) return -EFAULT;
  if (isShared && mapping.pages.has(index)) return -EEXIST;
  const head = allocHugetlbFolio(kernel, vma, vpn, false);
  if (head === NIL) return -ENOMEM;
  kernel.memory.content.fill(value, head, head + pages);
  hugetlbPoolOf(kernel, vma).restoresReserve.delete(head);
  if (isShared) {
    addToHugeCache(kernel, mapping, index, head, pages);
    hugetlbAddFileRmap(kernel, head);
  } else {
    hugetlbAddNewAnonRmap(kernel, head, vma, vpn);
  }
  const pte = hugeEntryFlags(vma, true);
  payload[entry] = head;
  flags[entry] = isProtected ? (pte | PTE_UFFD_WP) & ~PTE_WRITE : pte;
  vma.mm.hugetlbPages += pages;
  return 0;
}
