import { PAGES_PER_PMD } from '../../base/units.js';
import { EAGAIN } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { folioGet, folioPut } from '../phys/folio.js';
import { depositTable } from '../pgtable/deposit.js';
import {
  KIND_MASK,
  KIND_MIGRATION_READ,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_UFFD_WP,
  PTE_WRITE,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import { folioTryDupAnonRmapPmd } from '../rmap/folio_rmap.js';
import { MM_ANONPAGES } from '../vm/mm.js';
import { isAnonymous, type Vma } from '../vm/vma.js';
import { VM_UFFD_WP } from '../vm/vm_flags.js';
import { splitHugePmdLocked } from './split_pmd.js';

/**
 * fork's copy of a huge PMD entry (spec 30 §1.5): both sides share it, read-only. Returns the
 * number of entries copied: 1, or 0 in a file VMA, whose child faults it in again. -EAGAIN if the
 * folio is pinned: the parent's entry is split then, and the caller copies the PTEs.
 * @kernel copy_huge_pmd
 */
export function copyHugePmd(
  kernel: Kernel,
  child: Vma,
  parent: Vma,
  pmd: number,
  vpn: number,
): number {
  if (!isAnonymous(child)) return 0;
  const { pageTables } = kernel;
  const to = pageTables.allocPmd(child.mm.pgd, vpn);
  const spare = pageTables.allocNode();
  const { payload, flags } = pageTables;
  const head = payload[pmd];
  const droppedBits = PTE_YOUNG | ((child.flags & VM_UFFD_WP) !== 0 ? 0 : PTE_UFFD_WP);
  if ((flags[pmd] & PTE_PRESENT) === 0) {
    // The migration entry becomes a shared one; its accessed and dirty bits are carried over.
    flags[pmd] = (flags[pmd] & ~KIND_MASK) | KIND_MIGRATION_READ;
    payload[to] = head;
    flags[to] = flags[pmd] & ~(droppedBits & PTE_UFFD_WP);
    child.mm.rss[MM_ANONPAGES] += PAGES_PER_PMD;
    depositTable(kernel, to, spare);
    return 1;
  }
  if ((flags[pmd] & PTE_SPECIAL) === 0) {
    folioGet(kernel, head);
    if (folioTryDupAnonRmapPmd(kernel, head, child, parent) !== 0) {
      folioPut(kernel, head);
      pageTables.freeNode(spare);
      splitHugePmdLocked(kernel, parent, vpn, pmd, false);
      return -EAGAIN;
    }
    child.mm.rss[MM_ANONPAGES] += PAGES_PER_PMD;
    flags[pmd] &= ~PTE_WRITE;
  }
  payload[to] = head;
  flags[to] = flags[pmd] & ~(PTE_WRITE | droppedBits);
  depositTable(kernel, to, spare);
  return 1;
}
