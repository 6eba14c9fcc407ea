import { ENTRIES_PER_TABLE, NIL, tableIndex } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { folioPageCount } from '../phys/folio.js';
import { PTE_DIRTY, PTE_LEAF, PTE_PRESENT, PTE_SOFT_DIRTY, PTE_WRITE } from '../pgtable/pte.js';
import type { Vma } from '../vm/vma.js';
import { VM_SOFTDIRTY } from '../vm/vm_flags.js';

/**
 * Whether an entry may not become writable without a fault, because the next write must be seen:
 * its VMA was cleared since it was made, and the entry was not written since.
 * @kernel pte_needs_soft_dirty_wp
 */
export function needsSoftDirtyFault(kernel: Kernel, vmaFlags: number, pte: number): boolean {
  return (
    kernel.profile.softDirty && (vmaFlags & VM_SOFTDIRTY) === 0 && (pte & PTE_SOFT_DIRTY) === 0
  );
}

/**
 * Brings the soft-dirty bits of what a fault has mapped in order: an entry that was made dirty is
 * soft-dirty too, and a clean one stays read-only where writes are tracked.
 */
export function settleSoftDirty(kernel: Kernel, vma: Vma, vpn: number, isWrite: boolean): void {
  const { pageTables, memory } = kernel;
  const { flags, payload } = pageTables;
  const pmd = pageTables.findPmd(vma.mm.pgd, vpn);
  if (pmd === NIL) return;
  const isLeaf = (flags[pmd] & PTE_LEAF) !== 0;
  const entry = isLeaf ? pmd : pageTables.findPte(vma.mm.pgd, vpn);
  if (entry === NIL || (flags[entry] & PTE_PRESENT) === 0) return;
  const dirtyWrite = PTE_PRESENT | PTE_DIRTY;
  if (isWrite && (flags[entry] & dirtyWrite) === dirtyWrite) flags[entry] |= PTE_SOFT_DIRTY;
  // A fault may have mapped a whole large folio.
  const head = memory.folioOf(payload[entry]);
  const before = isLeaf ? 0 : Math.min(payload[entry] - head, tableIndex(vpn));
  const room = isLeaf ? 1 : ENTRIES_PER_TABLE - tableIndex(vpn) + before;
  const first = entry - before;
  const count = isLeaf ? 1 : Math.min(room, folioPageCount(kernel, head));
  for (let i = first; i < first + count; i += 1) {
    const pte = flags[i];
    if ((pte & (PTE_PRESENT | PTE_WRITE)) !== (PTE_PRESENT | PTE_WRITE)) continue;
    if (memory.folioOf(payload[i]) !== head || (pte & PTE_SOFT_DIRTY) !== 0) continue;
    if (isWrite && (pte & PTE_DIRTY) !== 0) flags[i] = pte | PTE_SOFT_DIRTY;
    else if ((vma.flags & VM_SOFTDIRTY) === 0) flags[i] = pte & ~PTE_WRITE;
  }
}
