import { NIL } from '../../base/units.js';
import { hugetlbFault } from '../hugetlb/fault.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import {
  KIND_HWPOISON,
  KIND_MARKER,
  KIND_MASK,
  KIND_SWAP,
  MARKER_GUARD,
  MARKER_POISONED,
  MARKER_UFFD_WP,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_TABLE,
  PTE_UFFD_WP,
  PTE_WRITE,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { restoreDeviceEntry } from '../rmap/device_exclusive.js';
import { doSwapPage } from '../swap/swap_in.js';
import { doHugePmdFault, doHugePmdWrite, isPmdFaultAllowed } from '../thp/huge_fault.js';
import type { Vma } from '../vm/vma.js';
import { VM_HUGETLB, VM_UFFD_WP } from '../vm/vm_flags.js';
import { doAnonymousPage } from './anonymous.js';
import {
  FAULT_UNSHARE,
  FAULT_WRITE,
  VM_FAULT_ERROR,
  VM_FAULT_FALLBACK,
  VM_FAULT_HWPOISON,
  VM_FAULT_RETRY,
  VM_FAULT_SIGSEGV,
} from './fault_flags.js';
import { doFileFault } from './file.js';
import { settleSoftDirty } from './soft_dirty.js';
import { doWpPage } from './write_protect.js';

/**
 * Handles one fault at a page whose VMA permits the access (spec 50 §3). Returns `VM_FAULT_*`
 * bits; 0 means that the entry is better than before, not that the access will succeed.
 * @kernel handle_mm_fault
 */
export function* handleMmFault(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  faultFlags: number,
): Op<number> {
  kernel.work.faults += 1;
  yield* pageTablesSettled(vma.mm);
  const result = yield* dispatchFault(kernel, vma, vpn, faultFlags);
  if (kernel.profile.softDirty && (result & VM_FAULT_ERROR) === 0) {
    settleSoftDirty(kernel, vma, vpn, (faultFlags & FAULT_WRITE) !== 0);
  }
  return result;
}

function* dispatchFault(kernel: Kernel, vma: Vma, vpn: number, faultFlags: number): Op<number> {
  if ((vma.flags & VM_HUGETLB) !== 0) return yield* hugetlbFault(kernel, vma, vpn, faultFlags);
  const { pageTables } = kernel;
  const pmd = pageTables.findPmd(vma.mm.pgd, vpn);
  const pmdFlags = pmd === NIL ? 0 : pageTables.flags[pmd];
  if (pmdFlags === 0) {
    if (isPmdFaultAllowed(kernel, vma, vpn)) {
      const result = yield* doHugePmdFault(kernel, vma, vpn, faultFlags);
      if ((result & VM_FAULT_FALLBACK) === 0) return result;
    }
  } else if ((pmdFlags & PTE_TABLE) === 0) {
    const result = yield* handlePmdLeaf(kernel, vma, vpn, pmd, faultFlags);
    if ((result & VM_FAULT_FALLBACK) === 0) return result;
  }
  return yield* handlePteFault(kernel, vma, vpn, pageTables.findPte(vma.mm.pgd, vpn), faultFlags);
}

function* handlePmdLeaf(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  pmd: number,
  faultFlags: number,
): Op<number> {
  const { flags } = kernel.pageTables;
  if ((flags[pmd] & PTE_PRESENT) === 0) return VM_FAULT_RETRY;
  const wants = faultFlags & (FAULT_WRITE | FAULT_UNSHARE);
  if (wants !== 0 && (flags[pmd] & PTE_WRITE) === 0) {
    return yield* doHugePmdWrite(kernel, vma, vpn, pmd, faultFlags);
  }
  flags[pmd] |= (faultFlags & FAULT_WRITE) === 0 ? PTE_YOUNG : PTE_YOUNG | PTE_DIRTY;
  return 0;
}

/** `entry` is the PTE of `vpn`, or NIL if it has no table yet. @kernel handle_pte_fault */
function* handlePteFault(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  entry: number,
  faultFlags: number,
): Op<number> {
  const { pageTables } = kernel;
  const flags = entry === NIL ? 0 : pageTables.flags[entry];
  if (flags === 0) {
    return vma.file === undefined
      ? yield* doAnonymousPage(kernel, vma, vpn, entry, faultFlags)
      : yield* doFileFault(kernel, vma, vpn, faultFlags);
  }
  if ((flags & PTE_PRESENT) === 0) {
    return yield* handleNonPresent(kernel, vma, vpn, entry, flags, faultFlags);
  }
  if ((faultFlags & (FAULT_WRITE | FAULT_UNSHARE)) !== 0 && (flags & PTE_WRITE) === 0) {
    return yield* doWpPage(kernel, vma, vpn, entry, faultFlags);
  }
  pageTables.flags[entry] |= (faultFlags & FAULT_WRITE) === 0 ? PTE_YOUNG : PTE_YOUNG | PTE_DIRTY;
  return 0;
}

function* handleNonPresent(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  entry: number,
  flags: number,
  faultFlags: number,
): Op<number> {
  const kind = flags & KIND_MASK;
  if (kind === KIND_SWAP) return yield* doSwapPage(kernel, vma, vpn, entry, faultFlags);
  if (kind === KIND_HWPOISON) return VM_FAULT_HWPOISON;
  if (kind === KIND_MARKER) {
    const marker = kernel.pageTables.payload[entry];
    if ((marker & MARKER_GUARD) !== 0) return VM_FAULT_SIGSEGV;
    if ((marker & MARKER_POISONED) !== 0) return VM_FAULT_HWPOISON;
    return yield* handleUffdWpMarker(kernel, vma, vpn, entry, faultFlags);
  }
  if (restoreDeviceEntry(kernel, vma, vpn, entry)) return 0;
  return VM_FAULT_RETRY;
}

/**
 * A write-protect marker is an empty entry; what comes there is protected, unless the marker is
 * left over from a registration that has ended. @kernel pte_marker_handle_uffd_wp
 */
function* handleUffdWpMarker(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  entry: number,
  faultFlags: number,
): Op<number> {
  const { pageTables } = kernel;
  pageTables.flags[entry] = 0;
  const result = yield* handlePteFault(kernel, vma, vpn, entry, faultFlags);
  if ((vma.flags & VM_UFFD_WP) === 0) return result;
  const mapped = pageTables.findPte(vma.mm.pgd, vpn);
  const pte = pageTables.flags[mapped];
  if ((pte & PTE_PRESENT) !== 0) {
    pageTables.flags[mapped] = (pte | PTE_UFFD_WP) & ~PTE_WRITE;
  } else if (pte === 0) {
    pageTables.flags[mapped] = KIND_MARKER;
    pageTables.payload[mapped] = MARKER_UFFD_WP;
  }
  return result;
}
