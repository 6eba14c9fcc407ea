import { NIL, PMD_ORDER } from '../../base/units.js';
import { RwSem } from '../op/prims.js';
import type { AnonVma, AnonVmaChain } from '../rmap/anon_vma_types.js';
import type { OpenFile } from './address_space.js';
import type { Mm } from './mm.js';
import { VM_HUGETLB, VM_RAND_READ, VM_SEQ_READ } from './vm_flags.js';

/** One mapped range of an address space, in pages. @kernel vm_area_struct */
export class Vma {
  readonly mm: Mm;
  /** First page. @kernel vm_area_struct.vm_start */
  start: number;
  /** First page behind. @kernel vm_area_struct.vm_end */
  end: number;
  /** Offset of `start` in the file, or in anonymous page-offset space. @kernel vm_pgoff */
  pgoff: number;
  /** `VM_*` bits. @kernel vm_area_struct.vm_flags */
  flags: number;
  /** The open file that backs it; each mmap call opens its own. @kernel vm_file */
  file: OpenFile | undefined;
  /** Where this VMA's own new pages go. @kernel vm_area_struct.anon_vma */
  anonVma: AnonVma | undefined = undefined;
  /** Newest first. @kernel vm_area_struct.anon_vma_chain @kernel anon_vma_chain.same_vma */
  anonVmaChain: AnonVmaChain[] = [];
  /** Row in `Kernel.intervals` while on the file's i_mmap tree. @kernel vm_area_struct.shared */
  sharedRow = NIL;
  /** hugetlb: this mm made the reservation (fork children do not own it). */
  ownsReservation = false;
  /** hugetlb private owner: huge-page indices of the file that are promised and not used. */
  reservedPages: Set<number> | undefined = undefined;
  /**
   * hugetlb child: its owner took a page away, so faults where nothing is mapped raise SIGBUS.
   * @kernel HPAGE_RESV_UNMAPPED
   */
  lostHugePages = false;
  /**
   * It had an anon_vma, or the VMA that it is a copy of: its pages are gone, its offset stayed as
   * they had it. For invariants.
   */
  lostAnonVma = false;
  /** Temporary stack of an exec in progress: migration leaves it alone. */
  isTemporaryStack = false;
  /** Taken out of its mm. */
  detached = false;
  /** Faults are inside as readers; see `vma_lock.ts`. @kernel vm_area_struct.vm_refcnt */
  readonly lock = new RwSem('vma_lock');
  /** `Mm.lockSequence` when it was last locked for write. @kernel vm_area_struct.vm_lock_seq */
  lockSequence = -1;

  constructor(
    mm: Mm,
    start: number,
    end: number,
    pgoff: number,
    flags: number,
    file: OpenFile | undefined,
  ) {
    this.mm = mm;
    this.start = start;
    this.end = end;
    this.pgoff = pgoff;
    this.flags = flags;
    this.file = file;
  }

  get lengthPages(): number {
    return this.end - this.start;
  }

  /** Last page offset, the closed end of the interval-tree key. @kernel vma_last_pgoff */
  get lastPgoff(): number {
    return this.pgoff + (this.end - this.start) - 1;
  }
}

/** Private anonymous memory; shared anonymous memory has a shmem file. @kernel vma_is_anonymous */
export function isAnonymous(vma: Vma): boolean {
  return vma.file === undefined;
}

/**
 * Whether an access through the VMA says that the page will be used again soon.
 * @kernel vma_has_recency
 */
export function hasRecency(vma: Vma): boolean {
  return (vma.flags & (VM_SEQ_READ | VM_RAND_READ)) === 0 && vma.file?.noReuse !== true;
}

/** Pages of the smallest piece that can be mapped or unmapped: a huge page of hugetlb, else 1. */
export function mappingUnit(vma: Vma): number {
  if ((vma.flags & VM_HUGETLB) === 0) return 1;
  return 2 ** (vma.file?.mapping.hugeOrder ?? PMD_ORDER);
}

/** Linear page offset of a page of the VMA. @kernel linear_page_index */
export function linearPageIndex(vma: Vma, vpn: number): number {
  return vma.pgoff + (vpn - vma.start);
}
