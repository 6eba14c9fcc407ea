import { ENTRIES_PER_TABLE, NIL, PAGES_PER_PMD, PMD_ORDER } from '../../base/units.js';
import { findCachedPage } from '../file/page_cache.js';
import type { Kernel } from '../kernel.js';
import { folioOrder, folioPut } from '../phys/folio.js';
import { PTE_LEAF, PTE_PRESENT, PTE_SPECIAL, PTE_TABLE } from '../pgtable/pte.js';
import { folioRemoveRmapPtes } from '../rmap/folio_rmap.js';
import { flushTlbRange } from '../rmap/tlb_model.js';
import { MM_SHMEMPAGES } from '../vm/mm.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';
import { mapFilePmd } from './file_fault.js';
import type { ScanResult } from './scan_result.js';

/**
 * Replaces PTEs that map pages of one cached 2 MiB folio at `at` by a PMD (`installsPmd`), or only
 * frees their table. Fails if the table holds anything else, such as private copies.
 * @kernel collapse_pte_mapped_thp
 */
export function collapsePteMappedFolio(
  kernel: Kernel,
  vma: Vma,
  at: number,
  installsPmd: boolean,
): ScanResult {
  const { memory, pageTables } = kernel;
  if (vma.file === undefined) return 'fail';
  const head = findCachedPage(vma.file.mapping, linearPageIndex(vma, at));
  if (head === NIL || memory.folioOf(head) !== head || folioOrder(kernel, head) !== PMD_ORDER) {
    return 'pageCompound';
  }
  const pmd = pageTables.findPmd(vma.mm.pgd, at);
  const pmdFlags = pmd === NIL ? 0 : pageTables.flags[pmd];
  if ((pmdFlags & PTE_LEAF) !== 0) return 'pmdMapped';
  if ((pmdFlags & PTE_TABLE) !== 0) {
    const node = pageTables.payload[pmd];
    const mapped = mappedPages(kernel, node, head);
    if (mapped === NIL) return 'fail';
    dropTable(kernel, vma, node, mapped);
    pageTables.flags[pmd] = 0;
    pageTables.clearNode(node);
    flushTlbRange(kernel, vma.mm, at, at + PAGES_PER_PMD);
  }
  if (installsPmd) mapFilePmd(kernel, vma, at, head, false);
  return 'succeed';
}

/** Entries of the table that map the folio's page of their place; NIL if any maps another thing. */
function mappedPages(kernel: Kernel, node: number, head: number): number {
  const { payload, flags } = kernel.pageTables;
  const from = node * ENTRIES_PER_TABLE;
  let mapped = 0;
  for (let i = 0; i < PAGES_PER_PMD; i += 1) {
    const pte = flags[from + i];
    if (pte === 0) continue;
    const isOwn =
      (pte & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT && payload[from + i] === head + i;
    if (!isOwn) return NIL;
    mapped += 1;
  }
  return mapped;
}

function dropTable(kernel: Kernel, vma: Vma, node: number, mapped: number): void {
  if (mapped === 0) return;
  const { payload, flags } = kernel.pageTables;
  const from = node * ENTRIES_PER_TABLE;
  const entries: number[] = [];
  for (let i = 0; i < PAGES_PER_PMD; i += 1) if (flags[from + i] !== 0) entries.push(from + i);
  const head = kernel.memory.folioOf(payload[entries[0]]);
  for (const entry of entries) {
    flags[entry] = 0;
    folioRemoveRmapPtes(kernel, head, payload[entry], 1, vma);
  }
  vma.mm.rss[MM_SHMEMPAGES] -= mapped;
  folioPut(kernel, head, mapped);
}
