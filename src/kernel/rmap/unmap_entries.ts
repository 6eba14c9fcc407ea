/** What one found entry, or a batch of them, becomes when its folio is unmapped (spec 40 §5). */
import { fail } from '../../base/errors.js';
import { ENTRIES_PER_TABLE, tableIndex } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { folioMapcount, folioOrder, folioPut, isAnonFolio } from '../phys/folio.js';
import { drainMlockOf } from '../phys/mlock.js';
import {
  PG_ANON_EXCLUSIVE,
  PG_DIRTY,
  PG_HEAD,
  PG_HUGETLB,
  PG_HWPOISON,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
} from '../phys/page_flags.js';
import {
  KIND_HWPOISON,
  KIND_MARKER,
  KIND_SWAP,
  MARKER_UFFD_WP,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_SOFT_DIRTY,
  PTE_SWP_EXCLUSIVE,
  PTE_UFFD_WP,
  PTE_UNUSED,
  PTE_WRITE,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import { folioSwapEntry, swapDuplicate, swapFree } from '../swap/swap_cache.js';
import { isUserfaultProtected } from '../uffd/userfault.js';
import { MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES, MM_SWAPENTS } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import { VM_DROPPABLE, VM_UFFD_MISSING, VM_UFFD_WP } from '../vm/vm_flags.js';
import { folioRemoveRmapPtes } from './folio_rmap_remove.js';
import { folioTryShareAnonRmapPte } from './folio_rmap_share.js';
import { hugetlbRemoveRmap } from './hugetlb_rmap.js';
import { setFlushPending, shouldDeferFlush } from './tlb_batch.js';
import { flushTlbRange } from './tlb_model.js';
import type { UnmapArg } from './try_to_unmap.js';
import { TTU_HWPOISON, TTU_RMAP_LOCKED } from './ttu_flags.js';

/**
 * Unmaps the found entry and those behind it that may go with it. Returns how many, or 0 if it
 * must stay (and is as it was); then the walk stops. The page-table lock is held.
 */
export function unmapEntries(kernel: Kernel, head: number, vma: Vma, arg: UnmapArg): number {
  const { memory, pageTables } = kernel;
  const { walk } = arg;
  const entry = walk.pte;
  const pte = pageTables.flags[entry];
  const pfn = pageTables.payload[entry];
  if ((memory.flags[head] & PG_HUGETLB) !== 0) return unmapHugetlb(kernel, head, vma, arg);
  const isAnon = isAnonFolio(kernel, head);
  const isSwapbacked = (memory.flags[head] & PG_SWAPBACKED) !== 0;
  const isPoisoned = (memory.flags[pfn] & PG_HWPOISON) !== 0;
  const isPresent = (pte & PTE_PRESENT) !== 0;
  const isUnused = isUnusedPte(pte, vma);
  const mayBatch = isPresent && !isPoisoned && !isUnused && !(isAnon && isSwapbacked);
  const count =
    mayBatch && (vma.flags & VM_UFFD_WP) === 0 ? batchLength(kernel, head, vma, arg) : 1;
  const bits = clearEntries(kernel, vma, arg, entry, count);
  if ((bits & PTE_DIRTY) !== 0) memory.flags[head] |= PG_DIRTY;
  // What a file VMA protects stays protected while nothing is mapped.
  const leavesMarker = vma.file !== undefined && isUserfaultProtected(vma, pte);
  let replacement = leavesMarker ? KIND_MARKER : 0;
  let payload = leavesMarker ? MARKER_UFFD_WP : pfn;
  if (isPoisoned && (arg.flags & TTU_HWPOISON) !== 0) {
    replacement = KIND_HWPOISON;
    payload = pfn;
    vma.mm.rss[counterOf(isAnon, isSwapbacked)] -= 1;
  } else if (isUnused) {
    vma.mm.rss[counterOf(isAnon, isSwapbacked)] -= 1;
  } else if (isAnon && isSwapbacked) {
    const swapped = swapOutEntry(kernel, head, pfn, pte);
    if (swapped === undefined) {
      restoreEntries(kernel, entry, count, pfn, pte, 0);
      return 0;
    }
    replacement = swapped.flags;
    payload = swapped.entry;
    vma.mm.rss[MM_ANONPAGES] -= 1;
    vma.mm.rss[MM_SWAPENTS] += 1;
  } else if (isAnon) {
    if (!mayDiscard(kernel, head, vma)) {
      restoreEntries(kernel, entry, count, pfn, pte, bits & (PTE_DIRTY | PTE_YOUNG));
      return 0;
    }
    vma.mm.rss[MM_ANONPAGES] -= count;
  } else {
    vma.mm.rss[counterOf(false, isSwapbacked)] -= count;
  }
  if (replacement !== 0) {
    pageTables.payload[entry] = payload;
    pageTables.flags[entry] = replacement;
  }
  folioRemoveRmapPtes(kernel, head, pfn, count, vma);
  drainMlockOf(kernel, vma);
  folioPut(kernel, head, count);
  return count;
}

/** Whether the contents need not be kept; a userfaultfd handler would have to be asked. */
export function isUnusedPte(pte: number, vma: Vma): boolean {
  if ((pte & (PTE_PRESENT | PTE_UNUSED)) !== (PTE_PRESENT | PTE_UNUSED)) return false;
  return (vma.flags & (VM_UFFD_MISSING | VM_UFFD_WP)) === 0;
}

/** Counter of the mm that pages of a folio are in. @kernel mm_counter */
export function counterOf(isAnon: boolean, isSwapbacked: boolean): number {
  if (isAnon) return MM_ANONPAGES;
  return isSwapbacked ? MM_SHMEMPAGES : MM_FILEPAGES;
}

/**
 * Entries from the found one on that map consecutive pages of the folio, inside the VMA and the
 * table, alike in write and soft-dirty bits. @kernel folio_unmap_pte_batch
 */
function batchLength(kernel: Kernel, head: number, vma: Vma, arg: UnmapArg): number {
  const { memory, pageTables } = kernel;
  if ((memory.flags[head] & PG_HEAD) === 0) return 1;
  const { walk } = arg;
  const { payload, flags } = pageTables;
  const pfn = payload[walk.pte];
  const wanted = flags[walk.pte] & (PTE_PRESENT | PTE_WRITE | PTE_SOFT_DIRTY);
  const most = Math.min(
    head + 2 ** folioOrder(kernel, head) - pfn,
    vma.end - walk.vpn,
    ENTRIES_PER_TABLE - tableIndex(walk.vpn),
  );
  let count = 1;
  while (
    count < most &&
    payload[walk.pte + count] === pfn + count &&
    (flags[walk.pte + count] & (PTE_PRESENT | PTE_WRITE | PTE_SOFT_DIRTY)) === wanted
  ) {
    count += 1;
  }
  return count;
}

/** Clears the entries; returns the union of their bits. @kernel get_and_clear_ptes */
function clearEntries(
  kernel: Kernel,
  vma: Vma,
  arg: UnmapArg,
  entry: number,
  count: number,
): number {
  const { flags } = kernel.pageTables;
  let bits = 0;
  for (let i = 0; i < count; i += 1) {
    bits |= flags[entry + i];
    flags[entry + i] = 0;
  }
  if ((bits & PTE_PRESENT) === 0) return 0;
  const { batch, walk } = arg;
  if (shouldDeferFlush(kernel, vma.mm, arg.flags, batch)) setFlushPending(batch, vma.mm, bits);
  else flushTlbRange(kernel, vma.mm, walk.vpn, walk.vpn + count);
  return bits;
}

/** Puts the entries back; a batch gets the accessed and dirty bits that any of it had. */
function restoreEntries(
  kernel: Kernel,
  entry: number,
  count: number,
  pfn: number,
  pte: number,
  collected: number,
): void {
  const { payload, flags } = kernel.pageTables;
  for (let i = 0; i < count; i += 1) {
    payload[entry + i] = pfn + i;
    flags[entry + i] = pte | collected;
  }
}

/**
 * Whether a lazyfree folio may be dropped: nobody wrote to it since, and nobody but its mappings
 * and the caller refers to it. A written one is swap-backed again.
 */
function mayDiscard(kernel: Kernel, head: number, vma: Vma): boolean {
  const { memory } = kernel;
  // Neither swap-backed nor lazyfree: nothing to go by.
  if ((memory.flags[head] & PG_SWAPCACHE) !== 0) return false;
  if ((memory.flags[head] & PG_DIRTY) !== 0 && (vma.flags & VM_DROPPABLE) === 0) {
    kernel.lru.change(head, PG_SWAPBACKED, 0);
    return false;
  }
  return memory.refcount[head] === folioMapcount(kernel, head) + 1;
}

/** The swap entry that takes the place of an anonymous entry, or undefined if it must stay. */
function swapOutEntry(
  kernel: Kernel,
  head: number,
  pfn: number,
  pte: number,
): { readonly entry: number; readonly flags: number } | undefined {
  const { memory } = kernel;
  if ((memory.flags[head] & PG_SWAPCACHE) === 0) return undefined;
  const entry = folioSwapEntry(kernel, head) + (pfn - head);
  if (!swapDuplicate(kernel, entry)) return undefined;
  const isExclusive = (memory.flags[pfn] & PG_ANON_EXCLUSIVE) !== 0;
  if (isExclusive && folioTryShareAnonRmapPte(kernel, head, pfn) !== 0) {
    swapFree(kernel, entry);
    return undefined;
  }
  const kept = pte & (PTE_SOFT_DIRTY | PTE_UFFD_WP);
  return { entry, flags: KIND_SWAP | kept | (isExclusive ? PTE_SWP_EXCLUSIVE : 0) };
}

/** hugetlb pages are unmapped only when they are poisoned. */
function unmapHugetlb(kernel: Kernel, head: number, vma: Vma, arg: UnmapArg): number {
  const { memory, pageTables } = kernel;
  const entry = arg.walk.pte;
  const pte = pageTables.flags[entry];
  const order = folioOrder(kernel, head);
  // Shared page tables may have to be taken apart, which no other walk may see half done.
  if (!isAnonFolio(kernel, head) && (arg.flags & TTU_RMAP_LOCKED) === 0) {
    fail(`hugetlb file folio ${head} is unmapped without its i_mmap lock`);
  }
  if ((pte & PTE_DIRTY) !== 0) memory.flags[head] |= PG_DIRTY;
  const isPoisoned = (memory.flags[head] & PG_HWPOISON) !== 0;
  pageTables.flags[entry] = isPoisoned && (arg.flags & TTU_HWPOISON) !== 0 ? KIND_HWPOISON : 0;
  flushTlbRange(kernel, vma.mm, arg.walk.vpn, arg.walk.vpn + 2 ** order);
  vma.mm.hugetlbPages -= 2 ** order;
  hugetlbRemoveRmap(kernel, head);
  folioPut(kernel, head);
  return 1;
}
