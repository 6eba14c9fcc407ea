import { ENTRIES_PER_TABLE, NIL, tableEnd, tableIndex } from '../../base/units.js';
import { copyHugetlbRange } from '../hugetlb/copy.js';
import { EAGAIN, ENOMEM } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { folioAlloc, folioPut, GUP_PIN_COUNTING_BIAS, isAnonFolio } from '../phys/folio.js';
import { folioAddLruVma } from '../phys/mlock.js';
import { PG_SWAPBACKED } from '../phys/page_flags.js';
import {
  isDeviceEntry,
  isMigration,
  KIND_DEVICE_EXCLUSIVE,
  KIND_DEVICE_READ,
  KIND_DEVICE_WRITE,
  KIND_MARKER,
  KIND_MASK,
  KIND_MIGRATION_READ,
  KIND_SWAP,
  MARKER_GUARD,
  MARKER_POISONED,
  MARKER_UFFD_WP,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_SWP_EXCLUSIVE,
  PTE_TABLE,
  PTE_UFFD_WP,
  PTE_WRITE,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import { flagsAlike } from '../pgtable/entry_run.js';
import { restoreDeviceEntry } from '../rmap/device_exclusive.js';
import {
  folioAddNewAnonRmap,
  folioDupFileRmapPtes,
  folioTryDupAnonRmapPtes,
} from '../rmap/folio_rmap.js';
import { swapDuplicate } from '../swap/swap_cache.js';
import { copyHugePmd } from '../thp/copy_pmd.js';
import { MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES, MM_SWAPENTS } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import {
  isCowMapping,
  VM_HUGETLB,
  VM_MAYBE_GUARD,
  VM_MIXEDMAP,
  VM_PFNMAP,
  VM_SHARED,
  VM_UFFD_WP,
} from '../vm/vm_flags.js';
import { writtenFlags } from './pte_values.js';
import { shareAnonRun } from './share_run.js';

/** Whether fork copies entries: others are refilled by faults (spec 30 §1.1). */
export function needsCopy(child: Vma, parent: Vma): boolean {
  return (
    (child.flags & VM_UFFD_WP) !== 0 ||
    (parent.flags & (VM_PFNMAP | VM_MIXEDMAP | VM_MAYBE_GUARD)) !== 0 ||
    parent.anonVma !== undefined
  );
}

/**
 * Copies the page tables of a VMA into a fork child. Returns the number of entries copied, or a
 * negative errno. The caller holds both mmap locks and has made write_protect_seq odd.
 * @kernel copy_page_range
 */
export function copyPageRange(kernel: Kernel, child: Vma, parent: Vma): number {
  if (!needsCopy(child, parent)) return 0;
  if ((parent.flags & VM_HUGETLB) !== 0) return copyHugetlbRange(kernel, child, parent);
  return copyEntries(kernel, child, parent, parent.start, parent.end);
}

/** The same for [start, end) of a VMA without hugetlb pages, nothing of which the child maps. */
export function copyEntries(
  kernel: Kernel,
  child: Vma,
  parent: Vma,
  start: number,
  end: number,
): number {
  const { pageTables } = kernel;
  let copied = 0;
  let at = start;
  while (at < end) {
    const blockEnd = Math.min(tableEnd(at), end);
    const pmd = pageTables.findPmd(parent.mm.pgd, at);
    if (pmd === NIL) {
      at = pageTables.skipHole(parent.mm.pgd, at, end);
      continue;
    }
    const flags = pageTables.flags[pmd];
    if (flags !== 0 && (flags & PTE_TABLE) === 0) {
      const result = copyHugePmd(kernel, child, parent, pmd, at);
      if (result < 0 && result !== -EAGAIN) return result;
      if (result >= 0) copied += result;
    }
    if ((pageTables.flags[pmd] & PTE_TABLE) !== 0) {
      const result = copyPtes(kernel, child, parent, pmd, at, blockEnd);
      if (result < 0) return result;
      copied += result;
    }
    at = blockEnd;
  }
  return copied;
}

/** More references than a page can have: nobody pins where no pin was ever taken. */
const NEVER_PINNED = 0x7fff_ffff;

/** @kernel copy_pte_range */
function copyPtes(
  kernel: Kernel,
  child: Vma,
  parent: Vma,
  pmd: number,
  vpn: number,
  blockEnd: number,
): number {
  const { pageTables } = kernel;
  const to = pageTables.allocPte(child.mm.pgd, vpn);
  const from = pageTables.payload[pmd] * ENTRIES_PER_TABLE + tableIndex(vpn);
  const { flags } = pageTables;
  const isCow = isCowMapping(parent.flags);
  const keepsUffdWp = (child.flags & VM_UFFD_WP) !== 0;
  // Private: both sides lose the write bit. Shared: the child starts clean.
  const childClears =
    PTE_YOUNG |
    (isCow ? PTE_WRITE : 0) |
    ((parent.flags & VM_SHARED) !== 0 ? PTE_DIRTY : 0) |
    (keepsUffdWp ? 0 : PTE_UFFD_WP);
  const parentClears = isCow ? PTE_WRITE : 0;
  const pinnedReferences = parent.mm.hasPinned ? GUP_PIN_COUNTING_BIAS : NEVER_PINNED;
  const length = blockEnd - vpn;
  let copied = 0;
  for (let i = 0; i < length;) {
    if (flags[from + i] === 0) {
      i += flagsAlike(pageTables, from + i, from + length, 0);
      continue;
    }
    const shared = shareAnonRun(
      kernel,
      from + i,
      to + i,
      length - i,
      ~parentClears,
      ~childClears,
      pinnedReferences,
    );
    if (shared > 0) {
      child.mm.rss[MM_ANONPAGES] += shared;
      copied += shared;
      i += shared;
      continue;
    }
    const isPresent = (flags[from + i] & PTE_PRESENT) !== 0;
    const result = isPresent
      ? copyPresent(kernel, child, parent, vpn + i, from + i, to + i, parentClears, childClears)
      : copyNonPresent(kernel, child, parent, vpn + i, from + i, to + i);
    if (result < 0) return result;
    copied += result;
    i += 1;
  }
  return copied;
}

/** Copies one present entry. Returns 1, or a negative errno. @kernel copy_present_ptes */
function copyPresent(
  kernel: Kernel,
  child: Vma,
  parent: Vma,
  vpn: number,
  from: number,
  to: number,
  parentClears: number,
  childClears: number,
): number {
  const { payload, flags } = kernel.pageTables;
  const pte = flags[from];
  const pfn = payload[from];
  if ((pte & PTE_SPECIAL) === 0) {
    const result = copyFolioPage(kernel, child, parent, vpn, to, pfn, pte);
    if (result < 0) return result;
    if (result === COPIED) return 1;
  }
  flags[from] = pte & ~parentClears;
  payload[to] = pfn;
  flags[to] = pte & ~childClears;
  return 1;
}

/** The page is shared: the caller writes the child's entry. */
const SHARED = 0;
/** The child got a copy of its own, entry included. */
const COPIED = 1;

/** Shares or copies one page of a large, file or KSM folio. */
function copyFolioPage(
  kernel: Kernel,
  child: Vma,
  parent: Vma,
  vpn: number,
  childEntry: number,
  pfn: number,
  pte: number,
): number {
  const { memory } = kernel;
  const head = memory.folioOf(pfn);
  memory.refcount[head] += 1;
  if (isAnonFolio(kernel, head)) {
    if (folioTryDupAnonRmapPtes(kernel, head, pfn, 1, child, parent) !== 0) {
      folioPut(kernel, head);
      const failed = copyPinnedPage(kernel, child, vpn, childEntry, pfn, pte);
      return failed !== 0 ? failed : COPIED;
    }
    child.mm.rss[MM_ANONPAGES] += 1;
    return SHARED;
  }
  folioDupFileRmapPtes(kernel, head, pfn, 1, child);
  const isSwapbacked = (memory.flags[head] & PG_SWAPBACKED) !== 0;
  child.mm.rss[isSwapbacked ? MM_SHMEMPAGES : MM_FILEPAGES] += 1;
  return SHARED;
}

/** A pinned page stays the parent's; the child gets a copy at once. @kernel copy_present_page */
export function copyPinnedPage(
  kernel: Kernel,
  child: Vma,
  vpn: number,
  childEntry: number,
  pfn: number,
  pte: number,
): number {
  const { memory, pageTables } = kernel;
  const copy = folioAlloc(kernel, 0, child.mm.memcg);
  if (copy === NIL) return -ENOMEM;
  memory.content[copy] = memory.content[pfn];
  kernel.work.pagesCopied += 1;
  folioAddNewAnonRmap(kernel, copy, child, vpn, true);
  folioAddLruVma(kernel, copy, child);
  child.mm.rss[MM_ANONPAGES] += 1;
  const keepsUffdWp = (child.flags & VM_UFFD_WP) !== 0 ? pte & PTE_UFFD_WP : 0;
  pageTables.payload[childEntry] = copy;
  pageTables.flags[childEntry] = writtenFlags(child) | keepsUffdWp;
  return 0;
}

/** @kernel copy_nonpresent_pte */
function copyNonPresent(
  kernel: Kernel,
  child: Vma,
  parent: Vma,
  vpn: number,
  from: number,
  to: number,
): number {
  const { memory, pageTables } = kernel;
  const { payload, flags } = pageTables;
  const pte = flags[from];
  const kind = pte & KIND_MASK;
  const keepsUffdWp = (child.flags & VM_UFFD_WP) !== 0;
  let childFlags = keepsUffdWp ? pte : pte & ~PTE_UFFD_WP;
  let childPayload = payload[from];
  if (kind === KIND_SWAP) {
    if (!swapDuplicate(kernel, payload[from])) return -ENOMEM;
    child.mm.rss[MM_SWAPENTS] += 1;
    flags[from] = pte & ~PTE_SWP_EXCLUSIVE;
    childFlags &= ~PTE_SWP_EXCLUSIVE;
  } else if (isMigration(pte)) {
    addRss(kernel, child, memory.folioOf(payload[from]));
    if (kind !== KIND_MIGRATION_READ && isCowMapping(parent.flags)) {
      flags[from] = (pte & ~KIND_MASK) | KIND_MIGRATION_READ;
      childFlags = (childFlags & ~KIND_MASK) | KIND_MIGRATION_READ;
    }
  } else if (kind === KIND_DEVICE_EXCLUSIVE) {
    if (!restoreDeviceEntry(kernel, parent, vpn, from)) return -EAGAIN;
    const result = copyFolioPage(kernel, child, parent, vpn, to, payload[from], flags[from]);
    if (result < 0 || result === COPIED) return result < 0 ? result : 1;
    flags[from] &= ~PTE_WRITE;
    childFlags = flags[from] & ~(PTE_WRITE | PTE_YOUNG);
    childPayload = payload[from];
  } else if (isDeviceEntry(pte)) {
    const head = memory.folioOf(payload[from]);
    memory.refcount[head] += 1;
    folioTryDupAnonRmapPtes(kernel, head, payload[from], 1, child, parent);
    addRss(kernel, child, head);
    if (kind === KIND_DEVICE_WRITE && isCowMapping(parent.flags)) {
      flags[from] = (pte & ~KIND_MASK) | KIND_DEVICE_READ;
      childFlags = (childFlags & ~KIND_MASK) | KIND_DEVICE_READ;
    }
  } else if (kind === KIND_MARKER) {
    const kept = MARKER_GUARD | MARKER_POISONED | (keepsUffdWp ? MARKER_UFFD_WP : 0);
    childPayload &= kept;
    if (childPayload === 0) return 0;
  }
  payload[to] = childPayload;
  flags[to] = childFlags;
  return 1;
}

function addRss(kernel: Kernel, child: Vma, head: number): void {
  const isSwapbacked = (kernel.memory.flags[head] & PG_SWAPBACKED) !== 0;
  const member = isAnonFolio(kernel, head)
    ? MM_ANONPAGES
    : isSwapbacked
      ? MM_SHMEMPAGES
      : MM_FILEPAGES;
  child.mm.rss[member] += 1;
}
