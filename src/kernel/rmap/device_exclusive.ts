import { fail } from '../../base/errors.js';
import { presentFlags } from '../fault/pte_values.js';
import type { Kernel } from '../kernel.js';
import { isAnonFolio } from '../phys/folio.js';
import { PG_ANON_EXCLUSIVE, PG_DIRTY, PG_LOCKED } from '../phys/page_flags.js';
import {
  KIND_DEVICE_EXCLUSIVE,
  KIND_MASK,
  PTE_DIRTY,
  PTE_PROTNONE,
  PTE_SOFT_DIRTY,
  PTE_UFFD_WP,
  PTE_WRITE,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import type { Vma } from '../vm/vma.js';
import { VM_WRITE } from '../vm/vm_flags.js';
import { notifyRangeEnd, notifyRangeStart } from './mmu_notifier.js';

/**
 * Gives a device-exclusive page back to the CPU, at a fault or before fork copies the entry.
 * Returns false if that must wait: somebody holds the folio lock, or the entry is of another kind
 * that only its owner can resolve (migration, device-private).
 * @kernel remove_device_exclusive_entry @kernel try_restore_exclusive_pte
 */
export function restoreDeviceEntry(kernel: Kernel, vma: Vma, vpn: number, entry: number): boolean {
  const { pageTables, memory } = kernel;
  if ((pageTables.flags[entry] & KIND_MASK) !== KIND_DEVICE_EXCLUSIVE) return false;
  const head = memory.folioOf(pageTables.payload[entry]);
  if ((memory.flags[head] & PG_LOCKED) !== 0) return false;
  notifyRangeStart(kernel, vma.mm, vpn, vpn + 1, 'exclusive');
  restoreExclusivePte(kernel, vma, entry);
  notifyRangeEnd(kernel, vma.mm, vpn, vpn + 1, 'exclusive');
  return true;
}

/** Counts and exclusiveness stay as they are. @kernel restore_exclusive_pte */
function restoreExclusivePte(kernel: Kernel, vma: Vma, entry: number): void {
  const { pageTables, memory, profile } = kernel;
  const old = pageTables.flags[entry];
  const pfn = pageTables.payload[entry];
  const head = memory.folioOf(pfn);
  if (!isAnonFolio(kernel, head)) fail(`device-exclusive entry of the file page ${pfn}`);
  let flags = presentFlags(vma) & ~PTE_YOUNG;
  flags |= old & (PTE_SOFT_DIRTY | PTE_UFFD_WP);
  // Fork of a shared page or mprotect may have made it read-only meanwhile.
  const canWrite =
    (vma.flags & VM_WRITE) !== 0 &&
    (memory.flags[pfn] & PG_ANON_EXCLUSIVE) !== 0 &&
    (flags & (PTE_PROTNONE | PTE_UFFD_WP)) === 0 &&
    (!profile.softDirty || (flags & PTE_SOFT_DIRTY) !== 0);
  if (canWrite) {
    flags |= PTE_WRITE;
    if ((memory.flags[head] & PG_DIRTY) !== 0) flags |= PTE_DIRTY;
  }
  pageTables.flags[entry] = flags;
}
