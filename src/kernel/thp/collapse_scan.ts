import { ENTRIES_PER_TABLE, NIL, PAGES_PER_PMD } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { folioExpectedRefCount, folioMaybeMappedShared, isAnonFolio } from '../phys/folio.js';
import { PG_LOCKED, PG_LRU, PG_REFERENCED, PG_YOUNG } from '../phys/page_flags.js';
import {
  PTE_LEAF,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_TABLE,
  PTE_UFFD_WP,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import type { Vma } from '../vm/vma.js';
import type { ScanLimits, ScanResult } from './scan_result.js';

/**
 * Whether the 2 MiB of private anonymous memory at `at` can be collapsed, judged without locks:
 * the collapse itself looks again (spec 50 §10). @kernel hpage_collapse_scan_pmd
 */
export function scanAnonBlock(
  kernel: Kernel,
  vma: Vma,
  at: number,
  limits: ScanLimits,
): ScanResult {
  const { memory, pageTables } = kernel;
  const pmd = pageTables.findPmd(vma.mm.pgd, at);
  if (pmd === NIL) return 'pmdNull';
  const pmdFlags = pageTables.flags[pmd];
  if (pmdFlags === 0) return 'pmdNone';
  if ((pmdFlags & PTE_TABLE) === 0) return (pmdFlags & PTE_LEAF) !== 0 ? 'pmdMapped' : 'pmdNull';
  const from = pageTables.payload[pmd] * ENTRIES_PER_TABLE;
  const { flags, payload } = pageTables;
  let none = 0;
  let swapped = 0;
  let shared = 0;
  let isUsed = false;
  // Pages of one large folio follow each other; it is judged once.
  let head = NIL;
  let isShared = false;
  for (let entry = from; entry < from + PAGES_PER_PMD; entry += 1) {
    const pte = flags[entry];
    if (pte === 0 || (pte & (PTE_PRESENT | PTE_SPECIAL)) === (PTE_PRESENT | PTE_SPECIAL)) {
      none += 1;
      if (none > limits.maxNone) return 'exceedNone';
      continue;
    }
    if ((pte & PTE_UFFD_WP) !== 0) return 'uffdWp';
    if ((pte & PTE_PRESENT) === 0) {
      // Any other kind is found out when the entries are read in.
      swapped += 1;
      if (swapped > limits.maxSwap) return 'exceedSwap';
      continue;
    }
    const pageHead = memory.folioOf(payload[entry]);
    if (pageHead !== head) {
      head = pageHead;
      const unfit = unfitness(kernel, head);
      if (unfit !== undefined) return unfit;
      isShared = folioMaybeMappedShared(kernel, head);
      if ((memory.flags[head] & (PG_YOUNG | PG_REFERENCED)) !== 0) isUsed = true;
    }
    if (isShared) {
      shared += 1;
      if (shared > limits.maxShared) return 'exceedShared';
    }
    if ((pte & PTE_YOUNG) !== 0) isUsed = true;
  }
  if (!limits.isForced && !isUsed) return 'lackReferenced';
  return 'succeed';
}

/** Why a present page cannot be copied away, if it cannot. */
export function unfitness(kernel: Kernel, head: number): ScanResult | undefined {
  const { memory } = kernel;
  if (!isAnonFolio(kernel, head)) return 'pageAnon';
  if ((memory.flags[head] & PG_LRU) === 0) return 'pageLru';
  if ((memory.flags[head] & PG_LOCKED) !== 0) return 'pageLock';
  return memory.refcount[head] === folioExpectedRefCount(kernel, head) ? undefined : 'pageCount';
}
