import { NIL, PAGES_PER_PMD, PMD_ORDER, tableStart } from '../../base/units.js';
import { allocUserFolio } from '../fault/alloc.js';
import { vmfAnonPrepare } from '../fault/anon_prepare.js';
import { FAULT_WRITE, VM_FAULT_FALLBACK } from '../fault/fault_flags.js';
import { maybeMkwrite, presentFlags, writtenFlags } from '../fault/pte_values.js';
import type { Kernel } from '../kernel.js';
import { canInterleave, type Op } from '../op/prims.js';
import { folioPut } from '../phys/folio.js';
import { folioAddLruVma } from '../phys/mlock.js';
import { PG_ANON_EXCLUSIVE, PG_SWAPCACHE } from '../phys/page_flags.js';
import { depositTable } from '../pgtable/deposit.js';
import { PTE_DIRTY, PTE_LEAF, PTE_SPECIAL, PTE_YOUNG } from '../pgtable/pte.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { folioAddNewAnonRmap, folioMoveAnonRmap } from '../rmap/folio_rmap.js';
import { flushTlbRange } from '../rmap/tlb_model.js';
import { folioFreeSwap } from '../swap/swap_cache.js';
import {
  handleUserfault,
  isUserfaultMissing,
  isUserfaultProtected,
  isUserfaultWp,
} from '../uffd/userfault.js';
import { MM_ANONPAGES } from '../vm/mm.js';
import { isAnonymous, type Vma } from '../vm/vma.js';
import { allowableAnonOrders, blockFitsVma } from './anon_order.js';
import { deferredSplitFolio } from './deferred.js';
import { hugeZeroFolio } from './huge_zero.js';
import { splitHugePmdLocked } from './split_pmd.js';

/**
 * Whether a fault at an empty PMD may map 2 MiB of private anonymous memory at once: the block lies
 * in the VMA and the PMD order is enabled for it (spec 50 §4). @kernel thp_vma_allowable_order
 */
export function isPmdFaultAllowed(kernel: Kernel, vma: Vma, vpn: number): boolean {
  if (!isAnonymous(vma) || !blockFitsVma(vma, vpn, PMD_ORDER)) return false;
  return (allowableAnonOrders(kernel, vma) & (1 << PMD_ORDER)) !== 0;
}

/**
 * Fault at an empty PMD of private anonymous memory: a read maps the huge zero page (if enabled), a
 * write a new 2 MiB folio (spec 50 §4, 98 §3). Returns `VM_FAULT_*` bits; FALLBACK if there is no
 * free block. @kernel do_huge_pmd_anonymous_page
 */
export function* doHugePmdFault(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  faultFlags: number,
): Op<number> {
  const failed = yield* vmfAnonPrepare(kernel, vma, faultFlags);
  if (failed !== 0) return failed;
  yield* pageTablesSettled(vma.mm);
  const { pageTables } = kernel;
  const pmd = pageTables.allocPmd(vma.mm.pgd, vpn);
  // Another fault may have been faster: the access looks again.
  if (canInterleave && pageTables.flags[pmd] !== 0) return 0;
  if ((faultFlags & FAULT_WRITE) === 0 && kernel.knobs.hugeZeroPage) {
    const zero = hugeZeroFolio(kernel);
    if (zero === NIL) return VM_FAULT_FALLBACK;
    if (isUserfaultMissing(vma, vpn)) return handleUserfault(vma);
    pageTables.payload[pmd] = zero;
    pageTables.flags[pmd] = presentFlags(vma) | PTE_SPECIAL | PTE_LEAF;
    depositTable(kernel, pmd);
    return 0;
  }
  const head = yield* allocUserFolio(kernel, vma.mm, PMD_ORDER);
  if (head === NIL) return VM_FAULT_FALLBACK;
  if (isUserfaultMissing(vma, vpn)) {
    folioPut(kernel, head);
    return handleUserfault(vma);
  }
  mapAnonFolioPmd(kernel, vma, vpn, pmd, head);
  depositTable(kernel, pmd);
  return 0;
}

/**
 * Maps a fresh 2 MiB folio exclusively by the PMD entry and queues it for the shrinker, which will
 * look whether it is mostly zeros. Always dirty, even in a VMA without write permission. The caller
 * sees to the page table in store.
 * @kernel map_anon_folio_pmd
 */
export function mapAnonFolioPmd(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  pmd: number,
  head: number,
): void {
  folioAddNewAnonRmap(kernel, head, vma, tableStart(vpn), true);
  folioAddLruVma(kernel, head, vma);
  kernel.pageTables.payload[pmd] = head;
  kernel.pageTables.flags[pmd] = writtenFlags(vma) | PTE_LEAF;
  vma.mm.rss[MM_ANONPAGES] += PAGES_PER_PMD;
  deferredSplitFolio(kernel, head, false);
}

/**
 * Write or unshare fault on a present PMD that is not writable (spec 30 §2.4). The last owner
 * reuses the folio; otherwise, and in file VMAs, the mapping is split (a file's dropped) and the
 * PTE-level handler goes on: FALLBACK. @kernel do_huge_pmd_wp_page @kernel wp_huge_pmd
 */
export function* doHugePmdWrite(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  pmd: number,
  faultFlags: number,
): Op<number> {
  const { memory, pageTables } = kernel;
  const isWrite = (faultFlags & FAULT_WRITE) !== 0;
  if (isWrite && isUserfaultProtected(vma, pageTables.flags[pmd])) {
    if (isUserfaultWp(vma)) return handleUserfault(vma);
    // In asynchronous mode the write resolves the protection of its own page only.
    return splitAndFallBack(kernel, vma, vpn, pmd);
  }
  if (!isAnonymous(vma)) return splitAndFallBack(kernel, vma, vpn, pmd);
  const head = pageTables.payload[pmd];
  if ((pageTables.flags[pmd] & PTE_SPECIAL) !== 0) {
    const result = isWrite
      ? yield* replaceHugeZero(kernel, vma, vpn, pmd, faultFlags)
      : VM_FAULT_FALLBACK;
    if ((result & VM_FAULT_FALLBACK) === 0) return result;
    return splitAndFallBack(kernel, vma, vpn, pmd);
  }
  if ((memory.flags[head] & PG_ANON_EXCLUSIVE) === 0) {
    if (!canReuseHuge(kernel, head)) return splitAndFallBack(kernel, vma, vpn, pmd);
    folioMoveAnonRmap(kernel, head, vma);
    memory.flags[head] |= PG_ANON_EXCLUSIVE;
    kernel.tracer?.pageReused?.(vma.mm, tableStart(vpn), head);
  }
  if (isWrite) {
    const flags = pageTables.flags[pmd];
    pageTables.flags[pmd] = maybeMkwrite(flags | PTE_YOUNG | PTE_DIRTY, vma);
  }
  return 0;
}

function splitAndFallBack(kernel: Kernel, vma: Vma, vpn: number, pmd: number): number {
  splitHugePmdLocked(kernel, vma, vpn, pmd, false);
  return VM_FAULT_FALLBACK;
}

/**
 * A write to the huge zero page gets a whole zeroed folio. FALLBACK if there is none, as where a
 * replayed fault got a smaller one.
 * @kernel do_huge_zero_wp_pmd
 */
function* replaceHugeZero(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  pmd: number,
  faultFlags: number,
): Op<number> {
  if (kernel.givenOrder !== NIL && kernel.givenOrder < PMD_ORDER) return VM_FAULT_FALLBACK;
  const failed = yield* vmfAnonPrepare(kernel, vma, faultFlags);
  if (failed !== 0) return failed;
  const head = yield* allocUserFolio(kernel, vma.mm, PMD_ORDER);
  if (head === NIL) return VM_FAULT_FALLBACK;
  const blockStart = tableStart(vpn);
  flushTlbRange(kernel, vma.mm, blockStart, blockStart + PAGES_PER_PMD);
  mapAnonFolioPmd(kernel, vma, vpn, pmd, head);
  return 0;
}

/** Whether this PMD holds the only reference; map counts do not matter here. */
function canReuseHuge(kernel: Kernel, head: number): boolean {
  const { memory } = kernel;
  const isCached = (memory.flags[head] & PG_SWAPCACHE) !== 0;
  if (memory.refcount[head] > (isCached ? 1 + PAGES_PER_PMD : 1)) return false;
  if (isCached) folioFreeSwap(kernel, head);
  return memory.refcount[head] === 1;
}
