import { fail } from '../../base/errors.js';
import { ENTRIES_PER_TABLE, NIL, PAGES_PER_PMD, PMD_ORDER } from '../../base/units.js';
import { allocUserFolio } from '../fault/alloc.js';
import { VM_FAULT_ERROR, VM_FAULT_RETRY } from '../fault/fault_flags.js';
import { handleMmFault } from '../fault/handle.js';
import type { Kernel } from '../kernel.js';
import { fullBarrier, writePoint, type Op } from '../op/prims.js';
import { folioPageCount, folioPut, isKsmFolio } from '../phys/folio.js';
import { drainMlock } from '../phys/mlock.js';
import { PG_SWAPCACHE } from '../phys/page_flags.js';
import { depositTable } from '../pgtable/deposit.js';
import { PTE_DIRTY, PTE_PRESENT, PTE_SPECIAL, PTE_TABLE, PTE_UFFD_WP } from '../pgtable/pte.js';
import { anonVmaLockWrite, anonVmaUnlockWrite } from '../rmap/anon_vma.js';
import { folioRemoveRmapPtes } from '../rmap/folio_rmap.js';
import { notifyRangeEnd, notifyRangeStart } from '../rmap/mmu_notifier.js';
import { flushTlbRange } from '../rmap/tlb_model.js';
import { folioFreeSwap } from '../swap/swap_cache.js';
import { MM_ANONPAGES } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import { unfitness } from './collapse_scan.js';
import { mapAnonFolioPmd } from './huge_fault.js';
import type { ScanResult } from './scan_result.js';

/**
 * Copies the 2 MiB at `at` into a new folio and maps that by a PMD (spec 98 §5.3). Other mms keep
 * the old pages. The mmap lock is held for write. Fails with nothing changed but swap entries read
 * in. @kernel collapse_huge_page
 */
export function* collapseAnonBlock(kernel: Kernel, vma: Vma, at: number): Op<ScanResult> {
  const { pageTables } = kernel;
  const { mm, anonVma } = vma;
  if (anonVma === undefined) return 'fail';
  const huge = yield* allocUserFolio(kernel, mm, PMD_ORDER);
  if (huge === NIL) return 'allocFailed';
  let result = yield* swapBlockIn(kernel, vma, at);
  const pmd = pageTables.findPmd(mm.pgd, at);
  if (result === 'succeed' && (pageTables.flags[pmd] & PTE_TABLE) === 0) result = 'pmdNull';
  if (result !== 'succeed') {
    folioPut(kernel, huge);
    return result;
  }
  const node = pageTables.payload[pmd];
  yield* anonVmaLockWrite(anonVma);
  notifyRangeStart(kernel, mm, at, at + PAGES_PER_PMD, 'clear');
  // The lockless fast path of GUP looks at the PMD again after it took a reference: clear the PMD
  // first, then count references.
  yield* writePoint('pmd', pmd);
  pageTables.flags[pmd] = 0;
  flushTlbRange(kernel, mm, at, at + PAGES_PER_PMD);
  yield* fullBarrier();
  result = checkTable(kernel, node);
  yield* anonVmaUnlockWrite(anonVma);
  if (result === 'succeed') {
    copyTable(kernel, vma, node, huge);
    mapAnonFolioPmd(kernel, vma, at, pmd, huge);
    depositTable(kernel, pmd, node);
  } else {
    pageTables.flags[pmd] = PTE_TABLE;
    folioPut(kernel, huge);
  }
  notifyRangeEnd(kernel, mm, at, at + PAGES_PER_PMD, 'clear');
  return result;
}

/** Faults in every entry that is not present; a guard or a migration makes it fail. */
function* swapBlockIn(kernel: Kernel, vma: Vma, at: number): Op<ScanResult> {
  const { pageTables } = kernel;
  const first = pageTables.findPte(vma.mm.pgd, at);
  if (first === NIL) return 'pmdNull';
  for (let i = 0; i < PAGES_PER_PMD; i += 1) {
    const pte = pageTables.flags[first + i];
    if (pte === 0 || (pte & PTE_PRESENT) !== 0) continue;
    const fault = yield* handleMmFault(kernel, vma, at + i, 0);
    if ((fault & (VM_FAULT_ERROR | VM_FAULT_RETRY)) !== 0) return 'fail';
    if (pageTables.findPte(vma.mm.pgd, at) !== first) return 'pmdNull';
  }
  drainMlock(kernel);
  return 'succeed';
}

/**
 * Whether every page of the table can be taken away from its place. A small folio that two entries
 * map cannot: it is locked at the second. @kernel __collapse_huge_page_isolate
 */
function checkTable(kernel: Kernel, node: number): ScanResult {
  const { memory, pageTables } = kernel;
  const { payload, flags } = pageTables;
  const from = node * ENTRIES_PER_TABLE;
  const ksmSeen = new Set<number>();
  let checked = NIL;
  for (let entry = from; entry < from + PAGES_PER_PMD; entry += 1) {
    const pte = flags[entry];
    if (pte === 0) continue;
    if ((pte & PTE_PRESENT) === 0) return 'nonPresent';
    if ((pte & PTE_SPECIAL) !== 0) continue;
    if ((pte & PTE_UFFD_WP) !== 0) return 'uffdWp';
    const head = memory.folioOf(payload[entry]);
    if (head === checked && memory.isLarge(head)) continue;
    checked = head;
    const unfit = unfitness(kernel, head);
    if (unfit !== undefined) return unfit;
    if (!isKsmFolio(kernel, head)) continue;
    if (ksmSeen.has(head)) return 'pageLock';
    ksmSeen.add(head);
  }
  return 'succeed';
}

/** Copies contents and drops the old mappings; the entries are cleared for the table's end. */
function copyTable(kernel: Kernel, vma: Vma, node: number, huge: number): void {
  const { memory, pageTables } = kernel;
  const { payload, flags } = pageTables;
  const { content } = memory;
  const from = node * ENTRIES_PER_TABLE;
  // The new folio is counted as a whole when it is mapped.
  let present = 0;
  for (let i = 0; i < PAGES_PER_PMD;) {
    const pte = flags[from + i];
    if ((pte & PTE_PRESENT) === 0 || (pte & PTE_SPECIAL) !== 0) {
      if (pte !== 0 && (pte & PTE_PRESENT) === 0) fail(`entry ${i} being collapsed is not present`);
      if ((pte & PTE_SPECIAL) !== 0 && (pte & PTE_DIRTY) !== 0) vma.mm.ksmZeroPages -= 1;
      flags[from + i] = 0;
      i += 1;
      continue;
    }
    const pfn = payload[from + i];
    const count = runLength(kernel, from + i, from + PAGES_PER_PMD);
    for (let k = 0; k < count; k += 1) content[huge + i + k] = content[pfn + k];
    flags.fill(0, from + i, from + i + count);
    const head = memory.folioOf(pfn);
    folioRemoveRmapPtes(kernel, head, pfn, count, vma);
    if ((memory.flags[head] & PG_SWAPCACHE) !== 0) folioFreeSwap(kernel, head);
    folioPut(kernel, head, count);
    present += count;
    i += count;
  }
  kernel.work.pagesCopied += present;
  vma.mm.rss[MM_ANONPAGES] -= present;
}

/** Entries from `entry` on that map consecutive pages of one folio. */
function runLength(kernel: Kernel, entry: number, end: number): number {
  const { memory, pageTables } = kernel;
  const { payload, flags } = pageTables;
  const pfn = payload[entry];
  const head = memory.folioOf(pfn);
  if (!memory.isLarge(head)) return 1;
  const folioEnd = head + folioPageCount(kernel, head);
  let count = 1;
  while (entry + count < end && pfn + count < folioEnd) {
    const isNext = (flags[entry + count] & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT;
    if (!isNext || payload[entry + count] !== pfn + count) break;
    count += 1;
  }
  return count;
}
