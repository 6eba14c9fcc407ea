import { PAGES_PER_PMD } from '../../base/units.js';
import type { ZapOptions } from '../fault/zap.js';
import type { Kernel } from '../kernel.js';
import { folioPut, isAnonFolio } from '../phys/folio.js';
import { folioMarkAccessed } from '../phys/mark_accessed.js';
import { PG_DIRTY, PG_SWAPBACKED } from '../phys/page_flags.js';
import { freeDepositedTable } from '../pgtable/deposit.js';
import { PTE_DIRTY, PTE_PRESENT, PTE_SPECIAL, PTE_YOUNG } from '../pgtable/pte.js';
import { folioRemoveRmapPmd } from '../rmap/folio_rmap.js';
import { MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES } from '../vm/mm.js';
import { hasRecency, type Vma } from '../vm/vma.js';
import { splitHugePmdLocked } from './split_pmd.js';

/**
 * Removes the part [from, to) of what a huge PMD entry maps. The whole block goes at once; for a
 * part the entry is split first, and the caller zaps the PTEs if there are any then (in a file VMA
 * a split drops the whole mapping). @kernel zap_huge_pmd
 */
export function zapHugePmd(
  kernel: Kernel,
  vma: Vma,
  pmd: number,
  from: number,
  to: number,
  options: ZapOptions,
): void {
  if (to - from < PAGES_PER_PMD) {
    splitHugePmdLocked(kernel, vma, from, pmd, false);
    return;
  }
  const { memory, pageTables } = kernel;
  const flags = pageTables.flags[pmd];
  const pfn = pageTables.payload[pmd];
  if ((flags & PTE_SPECIAL) !== 0) {
    pageTables.flags[pmd] = 0;
    freeDepositedTable(kernel, pmd);
    return;
  }
  const head = memory.folioOf(pfn);
  const isAnon = isAnonFolio(kernel, head);
  if (isAnon && !options.evenCows) return;
  pageTables.flags[pmd] = 0;
  if (isAnon) freeDepositedTable(kernel, pmd);
  const isSwapbacked = (memory.flags[head] & PG_SWAPBACKED) !== 0;
  const member = isAnon ? MM_ANONPAGES : isSwapbacked ? MM_SHMEMPAGES : MM_FILEPAGES;
  vma.mm.rss[member] -= PAGES_PER_PMD;
  // A migration entry holds neither a reference nor a mapcount.
  if ((flags & PTE_PRESENT) === 0) return;
  if (kernel.tracer !== undefined) {
    for (let i = 0; i < PAGES_PER_PMD; i += 1) {
      const entire = kernel.large.entireMapcount[memory.next[head + 1]];
      kernel.tracer.pageZapped?.(vma.mm, from + i, pfn + i, memory.mapcount[pfn + i] + entire);
    }
  }
  if (!isAnon) {
    if ((flags & PTE_DIRTY) !== 0) memory.flags[head] |= PG_DIRTY;
    if ((flags & PTE_YOUNG) !== 0 && hasRecency(vma)) folioMarkAccessed(kernel, head);
  }
  folioRemoveRmapPmd(kernel, head, vma);
  folioPut(kernel, head);
}
