import type { Kernel } from '../kernel.js';
import {
  folioAveragePageMapcount,
  folioMaybeMappedShared,
  folioPrecisePageMapcount,
  isAnonFolio,
  isKsmFolio,
  largeRow,
} from '../phys/folio.js';
import {
  PG_DIRTY,
  PG_HUGETLB,
  PG_REFERENCED,
  PG_SWAPBACKED,
  PG_YOUNG,
} from '../phys/page_flags.js';
import {
  isDeviceEntry,
  isMigration,
  KIND_MASK,
  KIND_SWAP,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_SPECIAL,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import { swapEntryCount } from '../swap/swap_cache.js';
import { isShmem } from '../vm/address_space.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';
import { VM_HUGETLB, VM_LOCKED, VM_SHARED, VM_WRITE } from '../vm/vm_flags.js';
import { pageAt, walkEntries } from './page_walk.js';

/** One page in Pss units: bytes shifted left by 12. @kernel PSS_SHIFT */
const PAGE_PSS = 2 ** 24;
const PSS_TO_KB = 2 ** 22;
const KB_PER_PAGE = 4;

/** Mapcount of a page as /proc shows it: precise, or the folio's mean (spec 50 §14.2). */
export function shownMapcount(kernel: Kernel, head: number, pfn: number): number {
  return kernel.profile.pageMapcount || (kernel.memory.flags[head] & PG_HUGETLB) !== 0
    ? folioPrecisePageMapcount(kernel, head, pfn)
    : folioAveragePageMapcount(kernel, head);
}

/** Sums of one VMA while its entries are walked. */
class SmapsSums {
  readonly kb = new Map<string, number>();
  pss = 0;
  swapPss = 0;

  add(key: string, kb: number): void {
    this.kb.set(key, (this.kb.get(key) ?? 0) + kb);
  }
}

const KEY_ORDER = [
  'Rss',
  'Pss',
  'Shared_Clean',
  'Shared_Dirty',
  'Private_Clean',
  'Private_Dirty',
  'Referenced',
  'Anonymous',
  'KSM',
  'LazyFree',
  'AnonHugePages',
  'ShmemPmdMapped',
  'FilePmdMapped',
  'Shared_Hugetlb',
  'Private_Hugetlb',
  'Swap',
  'SwapPss',
  'Locked',
];

/** The non-zero kB lines of /proc/PID/smaps for a VMA (spec 98 §1.2, 50 §14.4). */
export function smapsOf(kernel: Kernel, vma: Vma): Record<string, number> {
  const sums = new SmapsSums();
  const isHugetlb = (vma.flags & VM_HUGETLB) !== 0;
  walkEntries(kernel, vma, (entry, vpn, count, level) => {
    const flags = kernel.pageTables.flags[entry];
    if ((flags & PTE_PRESENT) === 0) {
      addNonPresent(kernel, sums, entry, flags, count);
    } else if ((flags & PTE_SPECIAL) === 0) {
      if (isHugetlb) addHugetlb(kernel, sums, entry, count);
      else addPresent(kernel, sums, entry, vpn, count, level);
    }
  });
  addShmemSwap(kernel, sums, vma);
  const pssKb = Math.floor(sums.pss / PSS_TO_KB);
  sums.kb.set('Pss', pssKb);
  sums.kb.set('SwapPss', Math.floor(sums.swapPss / PSS_TO_KB));
  if ((vma.flags & VM_LOCKED) !== 0) sums.kb.set('Locked', pssKb);
  const result: Record<string, number> = {};
  for (const key of KEY_ORDER) {
    const kb = sums.kb.get(key) ?? 0;
    if (kb !== 0) result[key] = kb;
  }
  return result;
}

function addPresent(
  kernel: Kernel,
  sums: SmapsSums,
  entry: number,
  vpn: number,
  count: number,
  level: 1 | 2 | 3,
): void {
  const { memory } = kernel;
  const pte = kernel.pageTables.flags[entry];
  const first = pageAt(kernel, entry, vpn, level);
  const head = memory.folioOf(first);
  const flags = memory.flags[head];
  const kb = KB_PER_PAGE * count;
  const isAnon = isAnonFolio(kernel, head);
  const isDirty = (pte & PTE_DIRTY) !== 0 || (flags & PG_DIRTY) !== 0;
  sums.add('Rss', kb);
  if (isAnon) {
    sums.add('Anonymous', kb);
    if ((flags & PG_SWAPBACKED) === 0 && !isDirty) sums.add('LazyFree', kb);
  }
  if (isKsmFolio(kernel, head)) sums.add('KSM', kb);
  if ((pte & PTE_YOUNG) !== 0 || (flags & (PG_YOUNG | PG_REFERENCED)) !== 0) {
    sums.add('Referenced', kb);
  }
  if (level === 2) {
    const isShmemFolio = (flags & PG_SWAPBACKED) !== 0;
    sums.add(isAnon ? 'AnonHugePages' : isShmemFolio ? 'ShmemPmdMapped' : 'FilePmdMapped', kb);
  }
  const hasOneReference = memory.refcount[head] === 1;
  for (let i = 0; i < count; i += 1) {
    const mapcount = shownMapcount(kernel, head, first + i);
    const isPrivate =
      hasOneReference ||
      (kernel.profile.pageMapcount ? mapcount < 2 : !folioMaybeMappedShared(kernel, head));
    sums.pss += Math.floor(PAGE_PSS / (hasOneReference ? 1 : Math.max(1, mapcount)));
    const sharing = isPrivate ? 'Private' : 'Shared';
    sums.add(`${sharing}_${isDirty ? 'Dirty' : 'Clean'}`, KB_PER_PAGE);
  }
}

function addNonPresent(
  kernel: Kernel,
  sums: SmapsSums,
  entry: number,
  flags: number,
  count: number,
): void {
  const payload = kernel.pageTables.payload[entry];
  const kb = KB_PER_PAGE * count;
  if ((flags & KIND_MASK) === KIND_SWAP) {
    sums.add('Swap', kb);
    sums.swapPss += Math.floor(PAGE_PSS / Math.max(1, swapEntryCount(kernel, payload)));
  } else if (isMigration(flags) || isDeviceEntry(flags)) {
    // Counted as present, shared and whole.
    const head = kernel.memory.folioOf(payload);
    sums.add('Rss', kb);
    if (isAnonFolio(kernel, head)) sums.add('Anonymous', kb);
    sums.pss += PAGE_PSS * count;
    const isDirty = (kernel.memory.flags[head] & PG_DIRTY) !== 0;
    sums.add(isDirty ? 'Shared_Dirty' : 'Shared_Clean', kb);
  }
}

function addHugetlb(kernel: Kernel, sums: SmapsSums, entry: number, count: number): void {
  const head = kernel.pageTables.payload[entry];
  const isShared = kernel.large.entireMapcount[largeRow(kernel, head)] > 1;
  sums.add(isShared ? 'Shared_Hugetlb' : 'Private_Hugetlb', KB_PER_PAGE * count);
}

/**
 * Pages of a shmem mapping that are in swap have no entry: the cache knows. Of a mapping that may
 * have copies only the empty entries count; of others everything in range does, even behind a
 * guard. @kernel smap_gather_stats, shmem_swap_usage
 */
function addShmemSwap(kernel: Kernel, sums: SmapsSums, vma: Vma): void {
  const mapping = vma.file?.mapping;
  if (mapping === undefined || !isShmem(mapping) || mapping.swapped.size === 0) return;
  const mayHaveCopies = (vma.flags & (VM_SHARED | VM_WRITE)) === VM_WRITE;
  for (let vpn = vma.start; vpn < vma.end; vpn += 1) {
    if (!mapping.swapped.has(linearPageIndex(vma, vpn))) continue;
    if (!mayHaveCopies || isEmpty(kernel, vma, vpn)) sums.add('Swap', KB_PER_PAGE);
  }
}

function isEmpty(kernel: Kernel, vma: Vma, vpn: number): boolean {
  const entry = kernel.pageTables.findPte(vma.mm.pgd, vpn);
  return entry < 0 || kernel.pageTables.flags[entry] === 0;
}
