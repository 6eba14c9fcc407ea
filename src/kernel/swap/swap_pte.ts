import { FAULT_WRITE } from '../fault/fault_flags.js';
import { presentFlags } from '../fault/pte_values.js';
import { doWpPage } from '../fault/write_protect.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import {
  KIND_MASK,
  KIND_SWAP,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_SOFT_DIRTY,
  PTE_UFFD_WP,
  PTE_WRITE,
} from '../pgtable/pte.js';
import type { Vma } from '../vm/vma.js';
import { VM_WRITE } from '../vm/vm_flags.js';

/** Flags of the entry that takes the place of a swap entry with flags `oldFlags`. */
export function swappedInFlags(
  vma: Vma,
  oldFlags: number,
  isExclusive: boolean,
  faultFlags: number,
): number {
  const flags = presentFlags(vma) | (oldFlags & (PTE_UFFD_WP | PTE_SOFT_DIRTY));
  if (!isExclusive || (vma.flags & VM_WRITE) === 0 || (oldFlags & PTE_UFFD_WP) !== 0) return flags;
  return (faultFlags & FAULT_WRITE) === 0 ? flags | PTE_WRITE : flags | PTE_WRITE | PTE_DIRTY;
}

/** A write fault whose page came in read-only goes on as a write-protect fault. */
export function* finishWrite(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  entry: number,
  faultFlags: number,
): Op<number> {
  if ((faultFlags & FAULT_WRITE) === 0) return 0;
  if ((kernel.pageTables.flags[entry] & PTE_WRITE) !== 0) return 0;
  return yield* doWpPage(kernel, vma, vpn, entry, faultFlags);
}

/** Whether the entry's flags are those of a swap entry. */
export function isSwapPte(flags: number): boolean {
  return (flags & (PTE_PRESENT | KIND_MASK)) === KIND_SWAP;
}
