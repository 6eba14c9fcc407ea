import { NIL } from '../../base/units.js';
import { EFAULT } from '../errno.js';
import { presentFlags } from '../fault/pte_values.js';
import type { Kernel } from '../kernel.js';
import {
  canInterleave,
  downWrite,
  fullBarrier,
  readPoint,
  upWrite,
  writePoint,
  type Op,
} from '../op/prims.js';
import { folioGet, folioMapcount, folioPut, isAnonFolio, isKsmFolio } from '../phys/folio.js';
import { drainMlock } from '../phys/mlock.js';
import { folioMarkAccessed } from '../phys/mark_accessed.js';
import { MAPPING_KSM } from '../phys/memory.js';
import { PG_ANON_EXCLUSIVE, PG_DIRTY, PG_SWAPCACHE } from '../phys/page_flags.js';
import { PTE_DIRTY, PTE_PRESENT, PTE_SPECIAL, PTE_WRITE } from '../pgtable/pte.js';
import { folioAddAnonRmapPtes, folioRemoveRmapPtes } from '../rmap/folio_rmap.js';
import { folioTryShareAnonRmapPte } from '../rmap/folio_rmap_share.js';
import { flushTlbRange } from '../rmap/tlb_model.js';
import { folioFreeSwap } from '../swap/swap_cache.js';
import { splitFolio } from '../thp/split.js';
import { MM_ANONPAGES } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';

/**
 * Makes the entry of `vpn`, which maps `page`, map `target` instead, or makes `page` itself a
 * merged page if `target` is NIL (spec 50 §7). The caller holds one reference of the page and the
 * mmap lock. Returns 0, or -EFAULT if the page is in use otherwise. @kernel try_to_merge_one_page
 */
export function* tryToMergeOnePage(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  page: number,
  target: number,
): Op<number> {
  // A fork brought the merged page here.
  if (page === target) return 0;
  const { memory } = kernel;
  const head = memory.folioOf(page);
  if (!isAnonFolio(kernel, head) || isKsmFolio(kernel, head)) return -EFAULT;
  if (memory.isLarge(head) && (yield* splitForKsm(kernel, head, page)) !== 0) return -EFAULT;
  yield* downWrite(vma.mm.pageTableLock);
  const entry = mappingEntry(kernel, vma, vpn, page);
  const pte = entry === NIL ? 0 : yield* writeProtectPage(kernel, vma, vpn, page, entry);
  yield* upWrite(vma.mm.pageTableLock);
  if (pte === 0) return -EFAULT;
  if (target === NIL) {
    // No node yet: the caller makes it when the other page is merged too.
    memory.mapping[page] = MAPPING_KSM;
    kernel.ksm.hasMerged = true;
    folioMarkAccessed(kernel, page);
    memory.flags[page] |= PG_DIRTY;
    return 0;
  }
  if (memory.content[page] !== memory.content[target]) return -EFAULT;
  return yield* replacePage(kernel, vma, vpn, page, target, entry, pte);
}

/**
 * Splits a large folio, on which the caller holds one reference that ends up on `page`. Its
 * zero-filled pages, candidates among them, become the zero page. Returns 0 or a negative errno.
 */
export function* splitForKsm(kernel: Kernel, head: number, page: number): Op<number> {
  kernel.ksm.unstableTree.noteSplit();
  const failed = yield* splitFolio(kernel, head, page);
  // The lock events of the remapped pages hold references, and Linux applies them at once.
  drainMlock(kernel);
  return failed;
}

/**
 * Makes the locked entry read-only and clean, so that the content stays. Elsewhere the page is read-only
 * already; but nobody else may hold a reference. Returns the entry's flags, or 0 if that cannot be
 * had, with the entry as it was. @kernel write_protect_page
 */
function* writeProtectPage(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  page: number,
  entry: number,
): Op<number> {
  const { memory } = kernel;
  const { flags } = kernel.pageTables;
  const pte = flags[entry];
  const isExclusive = (memory.flags[page] & PG_ANON_EXCLUSIVE) !== 0;
  if ((pte & (PTE_WRITE | PTE_DIRTY)) === 0 && !isExclusive) return pte;
  // Cleared before the references are looked at: GUP-fast sees one or the other (spec 30 §5.6).
  yield* writePoint('pte', entry);
  flags[entry] = 0;
  flushTlbRange(kernel, vma.mm, vpn, vpn + 1);
  yield* fullBarrier();
  yield* readPoint('folio_refcount', page);
  const cacheReferences = (memory.flags[page] & PG_SWAPCACHE) === 0 ? 0 : 1;
  const isUsed = folioMapcount(kernel, page) + 1 + cacheReferences !== memory.refcount[page];
  if (isUsed || (isExclusive && folioTryShareAnonRmapPte(kernel, page, page) !== 0)) {
    yield* writePoint('pte', entry);
    flags[entry] = pte;
    return 0;
  }
  if ((pte & PTE_DIRTY) !== 0) memory.flags[page] |= PG_DIRTY;
  const protectedPte = pte & ~(PTE_WRITE | PTE_DIRTY);
  yield* writePoint('pte', entry);
  flags[entry] = protectedPte;
  return protectedPte;
}

/** The entry was `knownEntry`, with the flags `expectedPte`. @kernel replace_page */
function* replacePage(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  page: number,
  target: number,
  knownEntry: number,
  expectedPte: number,
): Op<number> {
  yield* downWrite(vma.mm.pageTableLock);
  const entry = canInterleave ? mappingEntry(kernel, vma, vpn, page) : knownEntry;
  const isSame = entry !== NIL && kernel.pageTables.flags[entry] === expectedPte;
  if (isSame) {
    yield* writePoint('pte', entry);
    replaceEntry(kernel, vma, vpn, entry, page, target);
  }
  yield* upWrite(vma.mm.pageTableLock);
  return isSame ? 0 : -EFAULT;
}

function replaceEntry(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  entry: number,
  page: number,
  target: number,
): void {
  const { pageTables, memory } = kernel;
  const { mm } = vma;
  flushTlbRange(kernel, mm, vpn, vpn + 1);
  if (target === memory.zeroPfn) {
    // The dirty bit tells the zero pages of ksmd from those of read faults.
    pageTables.flags[entry] = presentFlags(vma) | PTE_SPECIAL | PTE_DIRTY;
    mm.ksmZeroPages += 1;
    mm.rss[MM_ANONPAGES] -= 1;
  } else {
    folioGet(kernel, target);
    folioAddAnonRmapPtes(kernel, target, target, 1, vma, vpn, false);
    pageTables.flags[entry] = presentFlags(vma);
  }
  pageTables.payload[entry] = target;
  folioRemoveRmapPtes(kernel, page, page, 1, vma);
  if (folioMapcount(kernel, page) === 0) folioFreeSwap(kernel, page);
  folioPut(kernel, page);
}

/** The PTE of `vpn` if it maps the page, else NIL. */
function mappingEntry(kernel: Kernel, vma: Vma, vpn: number, page: number): number {
  const { pageTables } = kernel;
  const entry = pageTables.findPte(vma.mm.pgd, vpn);
  if (entry === NIL || pageTables.payload[entry] !== page) return NIL;
  const isMapped = (pageTables.flags[entry] & (PTE_PRESENT | PTE_SPECIAL)) === PTE_PRESENT;
  return isMapped ? entry : NIL;
}
