import type { Kernel } from '../kernel.js';
import { folioPageCount } from '../phys/folio.js';
import { PTE_DIRTY, PTE_PRESENT, PTE_YOUNG } from '../pgtable/pte.js';

/** What a change of protection takes together: it may differ within a batch. */
const MERGED = PTE_DIRTY | PTE_YOUNG;

/**
 * A change of protection works on batches: present entries in a row that map consecutive pages of
 * one large folio and are equal but for their dirty and accessed bits. One that is dirty (accessed)
 * makes the whole batch so. Does that for the entries [from, to) of one table.
 * @kernel mprotect_folio_pte_batch @kernel modify_prot_start_ptes
 */
export function mergeAccessBits(kernel: Kernel, from: number, to: number): void {
  if (kernel.large.isEmpty) return;
  const { flags, payload } = kernel.pageTables;
  let before = 0;
  for (let entry = from; entry < to; entry += 1) {
    const pte = flags[entry];
    const difference = pte ^ before;
    before = pte;
    // Nearly always neighbours are alike, or unlike in more.
    if (difference === 0 || (difference & ~MERGED) !== 0 || (pte & PTE_PRESENT) === 0) continue;
    if (entry === from || payload[entry] !== payload[entry - 1] + 1) continue;
    const end = mergeBatch(kernel, entry, from, to);
    if (end === entry) continue;
    before = flags[end - 1];
    entry = end - 1;
  }
}

/** Merges the batch that `entry` and the entry before it are in. Returns the entry behind it. */
function mergeBatch(kernel: Kernel, entry: number, from: number, to: number): number {
  const { memory } = kernel;
  const { flags, payload } = kernel.pageTables;
  const pfn = payload[entry];
  const head = memory.folioOf(pfn);
  // The first page of a folio, small ones above all, has nothing in common with the one before.
  if (head === pfn) return entry;
  const common = flags[entry] & ~MERGED;
  const isAlike = (other: number): boolean =>
    (flags[other] & ~MERGED) === common && payload[other] === pfn + (other - entry);
  const least = Math.max(from, entry - (pfn - head));
  const most = Math.min(to, entry + (head + folioPageCount(kernel, head) - pfn));
  let start = entry;
  while (start > least && isAlike(start - 1)) start -= 1;
  let end = entry + 1;
  while (end < most && isAlike(end)) end += 1;
  let merged = 0;
  for (let i = start; i < end; i += 1) merged |= flags[i];
  flags.fill(merged, start, end);
  return end;
}
