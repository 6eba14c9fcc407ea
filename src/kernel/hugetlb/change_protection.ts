import { NIL } from '../../base/units.js';
import { isWatchedMemory } from '../fault/pte_values.js';
import type { Kernel } from '../kernel.js';
import { isAnonFolio } from '../phys/folio.js';
import {
  KIND_MASK,
  KIND_MIGRATION_READ,
  KIND_MIGRATION_READ_EXCLUSIVE,
  KIND_MIGRATION_WRITE,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_WRITE,
} from '../pgtable/pte.js';
import type { Vma } from '../vm/vma.js';
import { VM_ACCESS_FLAGS, VM_SHARED, VM_WRITE } from '../vm/vm_flags.js';
import { findHugeEntry } from './entry.js';
import { hugeOrderOf } from './reserve.js';

/**
 * mprotect of the huge entries of [start, end). A private entry never becomes writable by it, nor a
 * shared one that a userfaultfd watches: the next write takes a fault (spec 98 §10).
 * @kernel hugetlb_change_protection
 */
export function changeHugetlbProtection(
  kernel: Kernel,
  vma: Vma,
  start: number,
  end: number,
  newFlags: number,
): void {
  const { payload, flags } = kernel.pageTables;
  const order = hugeOrderOf(vma);
  const none = (newFlags & VM_ACCESS_FLAGS) === 0 ? PTE_PROTNONE : 0;
  const isShared = (newFlags & (VM_SHARED | VM_WRITE)) === (VM_SHARED | VM_WRITE);
  const isWritable = isShared && !isWatchedMemory(vma);
  for (let at = start; at < end; at += 2 ** order) {
    const entry = findHugeEntry(kernel, vma.mm, order, at);
    if (entry === NIL || flags[entry] === 0) continue;
    const pte = flags[entry];
    if ((pte & PTE_PRESENT) !== 0) {
      const changed = (pte & ~(PTE_PROTNONE | PTE_WRITE)) | none;
      flags[entry] = isWritable ? changed | PTE_WRITE : changed;
    } else if ((pte & KIND_MASK) === KIND_MIGRATION_WRITE) {
      const isAnon = isAnonFolio(kernel, payload[entry]);
      const kind = isAnon ? KIND_MIGRATION_READ_EXCLUSIVE : KIND_MIGRATION_READ;
      flags[entry] = (pte & ~KIND_MASK) | kind;
    }
  }
}
