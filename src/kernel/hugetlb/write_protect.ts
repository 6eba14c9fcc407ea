import { NIL } from '../../base/units.js';
import { vmfAnonPrepare } from '../fault/anon_prepare.js';
import { FAULT_UNSHARE, VM_FAULT_SIGBUS } from '../fault/fault_flags.js';
import { maybeMkwrite } from '../fault/pte_values.js';
import type { Kernel } from '../kernel.js';
import { canInterleave, downRead, upRead, type Op } from '../op/prims.js';
import { folioGet, folioMapcount, folioPut, isAnonFolio } from '../phys/folio.js';
import { PG_ANON_EXCLUSIVE } from '../phys/page_flags.js';
import { PTE_DIRTY, PTE_PRESENT } from '../pgtable/pte.js';
import { folioMoveAnonRmap, hugetlbAddNewAnonRmap, hugetlbRemoveRmap } from '../rmap/folio_rmap.js';
import { flushTlbRange } from '../rmap/tlb_model.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';
import { VM_MAYSHARE } from '../vm/vm_flags.js';
import { hugeEntryFlags } from './entry.js';
import { allocHugetlbFolio, hugeOrderOf, hugetlbPoolOf, returnHugetlbFolio } from './reserve.js';
import { zapHugeEntry } from './zap.js';

/**
 * Write or unshare fault on a present huge entry that is not writable (spec 30 §2.5): the only
 * mapper reuses the page whatever other references there are; others copy. `first` is the page
 * where the huge page begins. @kernel hugetlb_wp
 */
export function* hugetlbWp(
  kernel: Kernel,
  vma: Vma,
  first: number,
  entry: number,
  faultFlags: number,
): Op<number> {
  const { memory, pageTables } = kernel;
  const isUnshare = (faultFlags & FAULT_UNSHARE) !== 0;
  if ((vma.flags & VM_MAYSHARE) !== 0) {
    if (!isUnshare) makeWritten(kernel, vma, entry);
    return 0;
  }
  const old = pageTables.payload[entry];
  if (isAnonFolio(kernel, old) && folioMapcount(kernel, old) === 1) {
    if ((memory.flags[old] & PG_ANON_EXCLUSIVE) === 0) {
      folioMoveAnonRmap(kernel, old, vma);
      memory.flags[old] |= PG_ANON_EXCLUSIVE;
      kernel.tracer?.pageReused?.(vma.mm, first, old);
    }
    if (!isUnshare) makeWritten(kernel, vma, entry);
    return 0;
  }
  // The page that an owner copies is the one it was promised; the copy must not eat another promise.
  const isCached = vma.file?.mapping.pages.get(linearPageIndex(vma, first)) === old;
  const isOwner = vma.ownsReservation && !isCached;
  folioGet(kernel, old);
  const copy = allocHugetlbFolio(kernel, vma, first, isOwner);
  if (copy === NIL) {
    folioPut(kernel, old);
    if (!isOwner) return VM_FAULT_SIGBUS;
    yield* unmapRefPrivate(kernel, vma, first, old);
    const isSame =
      pageTables.payload[entry] === old && (pageTables.flags[entry] & PTE_PRESENT) !== 0;
    return isSame ? yield* hugetlbWp(kernel, vma, first, entry, faultFlags) : 0;
  }
  // Without a page to copy to, a mapping of the file's pages gets no anon_vma.
  const failed = yield* vmfAnonPrepare(kernel, vma, faultFlags);
  // Another fault may have been faster: the access looks again.
  if (failed !== 0 || (canInterleave && pageTables.payload[entry] !== old)) {
    returnHugetlbFolio(kernel, vma, first, copy);
    folioPut(kernel, old);
    return failed;
  }
  copyContents(kernel, vma, old, copy);
  kernel.tracer?.pageCopied?.(vma.mm, first, old, copy, folioMapcount(kernel, old));
  flushTlbRange(kernel, vma.mm, first, first + 2 ** hugeOrderOf(vma));
  hugetlbRemoveRmap(kernel, old);
  hugetlbPoolOf(kernel, vma).restoresReserve.delete(copy);
  hugetlbAddNewAnonRmap(kernel, copy, vma, first);
  pageTables.payload[entry] = copy;
  pageTables.flags[entry] = hugeEntryFlags(vma, !isUnshare);
  folioPut(kernel, old, 2);
  return 0;
}

/** @kernel set_huge_ptep_maybe_writable */
function makeWritten(kernel: Kernel, vma: Vma, entry: number): void {
  const { flags } = kernel.pageTables;
  flags[entry] = maybeMkwrite(flags[entry] | PTE_DIRTY, vma);
}

/** @kernel copy_user_large_folio */
export function copyContents(kernel: Kernel, vma: Vma, from: number, to: number): void {
  const pages = 2 ** hugeOrderOf(vma);
  kernel.memory.content.copyWithin(to, from, from + pages);
  kernel.work.pagesCopied += pages;
}

/**
 * The owner needs a page and there is none: the mappings of this very page in mms without a
 * promise go, and those mms get SIGBUS from then on where nothing is mapped.
 * @kernel unmap_ref_private
 */
function* unmapRefPrivate(kernel: Kernel, vma: Vma, first: number, old: number): Op<void> {
  const mapping = vma.file?.mapping;
  if (mapping === undefined) return;
  const { intervals, vmaOfRow } = kernel;
  const index = linearPageIndex(vma, first);
  const losers: Vma[] = [];
  yield* downRead(mapping.iMmapRwsem);
  let row = intervals.iterFirst(mapping.iMmap, index, index);
  while (row !== NIL) {
    const other = vmaOfRow[row];
    if (other !== undefined && other !== vma && isLoser(other)) losers.push(other);
    row = intervals.iterNext(row, index, index);
  }
  for (const loser of losers) {
    const at = loser.start + (index - loser.pgoff);
    if (zapHugeEntry(kernel, loser, at, old)) loser.lostHugePages = true;
  }
  yield* upRead(mapping.iMmapRwsem);
}

function isLoser(vma: Vma): boolean {
  return (vma.flags & VM_MAYSHARE) === 0 && !vma.ownsReservation;
}
