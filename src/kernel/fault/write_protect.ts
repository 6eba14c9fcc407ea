import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioMapcount, folioPut, isAnonFolio, isKsmFolio, largeRow } from '../phys/folio.js';
import { folioAddLruVma } from '../phys/mlock.js';
import { PG_ANON_EXCLUSIVE, PG_HEAD, PG_SWAPBACKED, PG_SWAPCACHE } from '../phys/page_flags.js';
import { PTE_DIRTY, PTE_SOFT_DIRTY, PTE_SPECIAL, PTE_UFFD_WP, PTE_YOUNG } from '../pgtable/pte.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { folioAddNewAnonRmap, folioMoveAnonRmap, folioRemoveRmapPtes } from '../rmap/folio_rmap.js';
import { flushTlbRange } from '../rmap/tlb_model.js';
import { folioFreeSwap } from '../swap/swap_cache.js';
import { handleUserfault, isUserfaultProtected, isUserfaultWp } from '../uffd/userfault.js';
import { MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import { VM_SHARED } from '../vm/vm_flags.js';
import { allocUserFolio } from './alloc.js';
import { vmfAnonPrepare } from './anon_prepare.js';
import { FAULT_UNSHARE, VM_FAULT_OOM } from './fault_flags.js';
import { sharedPageMkwrite } from './file.js';
import { maybeMkwrite, presentFlags, writtenFlags } from './pte_values.js';

/**
 * Write or unshare fault on a present, not writable PTE (spec 30 §2): shared mappings become
 * writable, exclusive pages are reused, others copied. @kernel do_wp_page
 */
export function* doWpPage(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  entry: number,
  faultFlags: number,
): Op<number> {
  const { memory, pageTables } = kernel;
  const isUnshare = (faultFlags & FAULT_UNSHARE) !== 0;
  if (!isUnshare && isUserfaultProtected(vma, pageTables.flags[entry])) {
    if (isUserfaultWp(vma)) return handleUserfault(vma);
    // In asynchronous mode the write itself resolves the protection.
    pageTables.flags[entry] &= ~PTE_UFFD_WP;
  }
  const isNormal = (pageTables.flags[entry] & PTE_SPECIAL) === 0;
  const pfn = pageTables.payload[entry];
  if ((vma.flags & VM_SHARED) !== 0) {
    if (isUnshare) return 0;
    if (isNormal) sharedPageMkwrite(kernel, vma, memory.folioOf(pfn));
    reusePte(kernel, vma, entry);
    return 0;
  }
  if (isNormal) {
    const head = memory.folioOf(pfn);
    if (isAnonFolio(kernel, head)) {
      const isExclusive = (memory.flags[pfn] & PG_ANON_EXCLUSIVE) !== 0;
      if (isExclusive || canReuseAnonFolio(kernel, vma, head)) {
        if (!isExclusive) {
          memory.flags[pfn] |= PG_ANON_EXCLUSIVE;
          kernel.tracer?.pageReused?.(vma.mm, vpn, pfn);
        }
        if (!isUnshare) reusePte(kernel, vma, entry);
        return 0;
      }
    }
  }
  return yield* wpPageCopy(kernel, vma, vpn, entry, faultFlags);
}

/** Makes the entry young, dirty and as writable as the VMA allows. @kernel wp_page_reuse */
function reusePte(kernel: Kernel, vma: Vma, entry: number): void {
  const { flags } = kernel.pageTables;
  flags[entry] = maybeMkwrite(flags[entry] | PTE_YOUNG | PTE_DIRTY, vma);
}

/**
 * Whether nobody else can see the folio, judged by references and never by mapcount alone
 * (spec 30 §2.1, §2.2). @kernel wp_can_reuse_anon_folio
 */
export function canReuseAnonFolio(kernel: Kernel, vma: Vma, head: number): boolean {
  const { memory } = kernel;
  if ((memory.flags[head] & PG_HEAD) !== 0) return canReuseLarge(kernel, head);
  if (isKsmFolio(kernel, head) || memory.refcount[head] > 3) return false;
  const isCached = (memory.flags[head] & PG_SWAPCACHE) !== 0;
  if (memory.refcount[head] > (isCached ? 2 : 1)) return false;
  if (isCached && !folioFreeSwap(kernel, head)) return false;
  if (memory.refcount[head] !== 1) return false;
  folioMoveAnonRmap(kernel, head, vma);
  return true;
}

function canReuseLarge(kernel: Kernel, head: number): boolean {
  const { memory, large } = kernel;
  if (kernel.profile.mmIds === 'none') return false;
  const row = largeRow(kernel, head);
  if (folioMapcount(kernel, head) <= 1 || large.shared[row] !== 0) return false;
  if ((memory.flags[head] & PG_SWAPCACHE) !== 0) folioFreeSwap(kernel, head);
  return large.largeMapcount[row] === memory.refcount[head];
}

/** Replaces the page by a private copy, or a zeroed page for the zero page. @kernel wp_page_copy */
export function* wpPageCopy(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  entry: number,
  faultFlags: number,
): Op<number> {
  const { memory, pageTables } = kernel;
  const { mm } = vma;
  const isUnshare = (faultFlags & FAULT_UNSHARE) !== 0;
  const oldPfn = pageTables.payload[entry];
  const oldFlags = pageTables.flags[entry];
  const isNormal = (oldFlags & PTE_SPECIAL) === 0;
  const oldHead = memory.folioOf(oldPfn);
  if (isNormal) memory.refcount[oldHead] += 1;
  const failed = yield* vmfAnonPrepare(kernel, vma, faultFlags);
  const copy = failed === 0 ? yield* allocUserFolio(kernel, mm, 0) : NIL;
  yield* pageTablesSettled(mm);
  if (
    copy === NIL ||
    pageTables.payload[entry] !== oldPfn ||
    pageTables.flags[entry] !== oldFlags
  ) {
    // Neither an anon_vma nor memory, or the entry has changed: the access tries again.
    if (copy !== NIL) folioPut(kernel, copy);
    if (isNormal) folioPut(kernel, oldHead);
    if (failed !== 0) return failed;
    return copy === NIL ? VM_FAULT_OOM : 0;
  }
  memory.content[copy] = memory.content[oldPfn];
  kernel.work.pagesCopied += 1;
  const mapcount = isNormal ? folioMapcount(kernel, oldHead) : 0;
  kernel.tracer?.pageCopied?.(mm, vpn, oldPfn, copy, mapcount);
  if (isNormal) {
    if (!isAnonFolio(kernel, oldHead)) {
      const isShmem = (memory.flags[oldHead] & PG_SWAPBACKED) !== 0;
      mm.rss[isShmem ? MM_SHMEMPAGES : MM_FILEPAGES] -= 1;
      mm.rss[MM_ANONPAGES] += 1;
    }
  } else {
    mm.rss[MM_ANONPAGES] += 1;
    if ((oldFlags & PTE_DIRTY) !== 0) mm.ksmZeroPages -= 1;
  }
  // No CPU may read the old page once it is given up.
  flushTlbRange(kernel, mm, vpn, vpn + 1);
  folioAddNewAnonRmap(kernel, copy, vma, vpn, true);
  folioAddLruVma(kernel, copy, vma);
  pageTables.payload[entry] = copy;
  pageTables.flags[entry] = isUnshare
    ? presentFlags(vma) | (oldFlags & (PTE_UFFD_WP | PTE_SOFT_DIRTY))
    : writtenFlags(vma);
  if (isNormal) {
    folioRemoveRmapPtes(kernel, oldHead, oldPfn, 1, vma);
    // A folio that others still map keeps its slots until it is reclaimed or written.
    const isUnused = folioMapcount(kernel, oldHead) === 0;
    if (isUnused && (memory.flags[oldHead] & PG_SWAPCACHE) !== 0) folioFreeSwap(kernel, oldHead);
    folioPut(kernel, oldHead, 2);
  }
  return 0;
}
