import { NIL } from '../../base/units.js';
import { ENOMEM } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { folioGet, folioPut, isAnonFolio } from '../phys/folio.js';
import {
  isMigration,
  KIND_MASK,
  KIND_MIGRATION_READ,
  PTE_PRESENT,
  PTE_UFFD_WP,
  PTE_WRITE,
} from '../pgtable/pte.js';
import {
  hugetlbAddFileRmap,
  hugetlbAddNewAnonRmap,
  hugetlbTryDupAnonRmap,
} from '../rmap/folio_rmap.js';
import type { Vma } from '../vm/vma.js';
import { isCowMapping, VM_UFFD_WP } from '../vm/vm_flags.js';
import { allocHugeEntry, findHugeEntry, hugeEntryFlags } from './entry.js';
import { allocHugetlbFolio, hugeOrderOf, hugetlbPoolOf } from './reserve.js';
import { copyContents } from './write_protect.js';

/**
 * fork's copy of a hugetlb VMA (spec 30 §1.6): pages are shared, read-only if private; a pinned one
 * is copied. Returns the number of entries copied, or -ENOMEM if a copy found no free page.
 * @kernel copy_hugetlb_page_range
 */
export function copyHugetlbRange(kernel: Kernel, child: Vma, parent: Vma): number {
  const { pageTables } = kernel;
  const order = hugeOrderOf(parent);
  let copied = 0;
  for (let at = parent.start; at < parent.end; at += 2 ** order) {
    const from = findHugeEntry(kernel, parent.mm, order, at);
    if (from === NIL || pageTables.flags[from] === 0) continue;
    const to = allocHugeEntry(kernel, child.mm, order, at);
    const failed = copyHugeEntry(kernel, child, parent, at, from, to);
    if (failed !== 0) return failed;
    copied += 1;
  }
  return copied;
}

function copyHugeEntry(
  kernel: Kernel,
  child: Vma,
  parent: Vma,
  at: number,
  from: number,
  to: number,
): number {
  const { payload, flags } = kernel.pageTables;
  const pages = 2 ** hugeOrderOf(parent);
  const isCow = isCowMapping(parent.flags);
  const dropped = (child.flags & VM_UFFD_WP) !== 0 ? 0 : PTE_UFFD_WP;
  const pte = flags[from];
  const head = payload[from];
  payload[to] = head;
  if ((pte & PTE_PRESENT) === 0) {
    if (isMigration(pte)) {
      // The page will be shared once it has moved.
      if (isCow) flags[from] = (pte & ~KIND_MASK) | KIND_MIGRATION_READ;
      child.mm.hugetlbPages += pages;
    }
    flags[to] = flags[from] & ~dropped;
    return 0;
  }
  folioGet(kernel, head);
  if (!isAnonFolio(kernel, head)) {
    hugetlbAddFileRmap(kernel, head);
  } else if (hugetlbTryDupAnonRmap(kernel, head, parent) !== 0) {
    const copy = allocHugetlbFolio(kernel, child, at, false);
    folioPut(kernel, head);
    if (copy === NIL) return -ENOMEM;
    copyContents(kernel, parent, head, copy);
    hugetlbPoolOf(kernel, child).restoresReserve.delete(copy);
    hugetlbAddNewAnonRmap(kernel, copy, child, at);
    payload[to] = copy;
    flags[to] = hugeEntryFlags(child, true);
    child.mm.hugetlbPages += pages;
    return 0;
  }
  if (isCow) flags[from] = pte & ~PTE_WRITE;
  flags[to] = flags[from] & ~dropped;
  child.mm.hugetlbPages += pages;
  return 0;
}
