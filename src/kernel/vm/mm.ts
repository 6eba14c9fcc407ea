import { RwSem } from '../op/prims.js';
import type { UffdContext } from '../uffd/context.js';
import type { Vma } from './vma.js';

/** Index of a counter in `Mm.rss`. @kernel MM_FILEPAGES */
export const MM_FILEPAGES = 0;
/** @kernel MM_ANONPAGES */
export const MM_ANONPAGES = 1;
/** @kernel MM_SWAPENTS */
export const MM_SWAPENTS = 2;
/** @kernel MM_SHMEMPAGES */
export const MM_SHMEMPAGES = 3;

/** One address space. @kernel mm_struct */
export class Mm {
  /** Number in `Kernel.mms`; also the process number for processes that own their mm. */
  readonly id: number;
  /**
   * Unique among live mms, from 1; tracked in the slots of large folios.
   * @kernel mm_struct.mm_id @kernel mm_id_t
   */
  readonly mmId: number;
  /** Ascending, disjoint. @kernel mm_struct.mm_mt */
  readonly vmas: Vma[] = [];
  /** Top page table node. @kernel mm_struct.pgd */
  readonly pgd: number;
  /** @kernel mm_struct.mmap_lock */
  readonly mmapLock: RwSem;
  /**
   * Moves on when the mmap lock is taken for write or let go: a VMA whose `lockSequence` is equal
   * is locked. @kernel mm_struct.mm_lock_seq
   */
  lockSequence = 0;
  /** Covers every page-table entry of this mm. @kernel mm_struct.page_table_lock */
  readonly pageTableLock: RwSem;
  /** Present pages and swap entries by kind: `MM_*`. @kernel mm_struct.rss_stat */
  readonly rss = new Float64Array(4);
  /** Pages of all VMAs. @kernel mm_struct.total_vm */
  totalPages = 0;
  /**
   * Pages of VMAs that are locked, and `lostLockedPages`. @kernel mm_struct.locked_vm
   */
  lockedPages = 0;
  /** Of VMAs that MREMAP_DONTUNMAP unlocked: Linux goes on counting them as locked. */
  lostLockedPages = 0;
  /** Pages that are private and may be written. @kernel mm_struct.data_vm */
  dataPages = 0;
  /** Pages that may be executed and not written. @kernel mm_struct.exec_vm */
  execPages = 0;
  /** @kernel mm_struct.stack_vm */
  stackPages = 0;
  /** Pages mapped by hugetlb. @kernel mm_struct.hugetlb_usage */
  hugetlbPages = 0;
  /** Start of the heap and the break, in pages. @kernel mm_struct.brk */
  startBrk = 0;
  brk = 0;
  /** FOLL_PIN was used on this mm at some time. @kernel MMF_HAS_PINNED */
  hasPinned = false;
  /** Odd while fork copies page tables. @kernel mm_struct.write_protect_seq */
  writeProtectSeq = 0;
  /** PR_SET_MEMORY_MERGE: new anonymous VMAs are mergeable. @kernel MMF_VM_MERGE_ANY */
  mergeAny = false;
  /** On the list of mms that ksmd scans. @kernel MMF_VM_MERGEABLE */
  ksmRegistered = false;
  /** Flags that mlockall(MCL_FUTURE) gives to new VMAs. @kernel mm_struct.def_flags */
  defaultFlags = 0;
  /** Threads and vfork children that use the mm. @kernel mm_struct.mm_users */
  users = 1;
  /** Zero pages that ksmd placed. @kernel mm_struct.ksm_zero_pages */
  ksmZeroPages = 0;
  /** Deferred TLB flushes not yet done: pending and flushed. @kernel mm_struct.tlb_flush_batched */
  tlbPending = 0;
  tlbFlushed = 0;
  /** Memory control group that new pages are charged to. */
  memcg = 0;
  /** transparent huge pages switched off by prctl. @kernel MMF_DISABLE_THP */
  thpDisabled = false;
  /** Its userfaultfd. @kernel vm_userfaultfd_ctx.ctx */
  uffd: UffdContext | undefined = undefined;
  /** Torn down. */
  dead = false;

  constructor(id: number, mmId: number, pgd: number) {
    this.id = id;
    this.mmId = mmId;
    this.pgd = pgd;
    this.mmapLock = new RwSem(`mmap_lock ${id}`);
    this.pageTableLock = new RwSem(`page_table_lock ${id}`);
  }
}

/** Index of the first VMA that ends behind `vpn` (it may start behind it too). */
export function findVmaIndex(mm: Mm, vpn: number): number {
  const { vmas } = mm;
  let low = 0;
  let high = vmas.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (vmas[middle].end <= vpn) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The VMA that contains `vpn`. @kernel vma_lookup */
export function findVma(mm: Mm, vpn: number): Vma | undefined {
  const vma = mm.vmas[findVmaIndex(mm, vpn)];
  return vma !== undefined && vma.start <= vpn ? vma : undefined;
}

/** Whether any VMA overlaps [start, end). */
export function hasOverlap(mm: Mm, start: number, end: number): boolean {
  const vma = mm.vmas[findVmaIndex(mm, start)];
  return vma !== undefined && vma.start < end;
}
