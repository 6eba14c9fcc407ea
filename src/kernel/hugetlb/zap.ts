import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { folioPut, isAnonFolio } from '../phys/folio.js';
import { PG_DIRTY } from '../phys/page_flags.js';
import { isMigration, PTE_DIRTY, PTE_PRESENT } from '../pgtable/pte.js';
import { hugetlbRemoveRmap } from '../rmap/folio_rmap.js';
import { flushTlbRange } from '../rmap/tlb_model.js';
import type { Vma } from '../vm/vma.js';
import { findHugeEntry } from './entry.js';
import { hugeIndex, hugeOrderOf, hugetlbPoolOf } from './reserve.js';

/**
 * Removes the huge entries of [start, end), whose ends are aligned. @kernel unmap_hugepage_range
 */
export function zapHugetlbRange(kernel: Kernel, vma: Vma, start: number, end: number): void {
  const pages = 2 ** hugeOrderOf(vma);
  for (let at = start; at < end; at += pages) zapHugeEntry(kernel, vma, at, NIL);
}

/**
 * Removes one huge entry, only if it maps `wanted` unless that is NIL. An owner's anonymous page
 * goes back to what it was promised, so that nobody else can take it (spec 98 §10).
 * Returns whether a present entry was removed. @kernel __unmap_hugepage_range
 */
export function zapHugeEntry(kernel: Kernel, vma: Vma, at: number, wanted: number): boolean {
  const { memory, pageTables } = kernel;
  const order = hugeOrderOf(vma);
  const entry = findHugeEntry(kernel, vma.mm, order, at);
  const flags = entry === NIL ? 0 : pageTables.flags[entry];
  if (flags === 0) return false;
  const head = pageTables.payload[entry];
  const isPresent = (flags & PTE_PRESENT) !== 0;
  if (wanted !== NIL && (!isPresent || head !== wanted)) return false;
  pageTables.flags[entry] = 0;
  flushTlbRange(kernel, vma.mm, at, at + 2 ** order);
  if (isPresent || isMigration(flags)) vma.mm.hugetlbPages -= 2 ** order;
  if (!isPresent) return false;
  kernel.tracer?.pageZapped?.(vma.mm, at, head, kernel.large.entireMapcount[memory.next[head + 1]]);
  if ((flags & PTE_DIRTY) !== 0) memory.flags[head] |= PG_DIRTY;
  hugetlbRemoveRmap(kernel, head);
  const pool = hugetlbPoolOf(kernel, vma);
  if (vma.reservedPages !== undefined && pool.surplus === 0 && isAnonFolio(kernel, head)) {
    pool.restoresReserve.add(head);
    vma.reservedPages.add(hugeIndex(vma, at));
  }
  folioPut(kernel, head);
  return true;
}
