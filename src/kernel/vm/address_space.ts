import { IntervalPool, type IntervalTree } from '../../base/interval_tree.js';
import { PMD_ORDER } from '../../base/units.js';
import { RwSem } from '../op/prims.js';
import type { FileId } from '../operation.js';

/**
 * What backs a file mapping: `tmp` a file system with dirty tracking (ext4), `memfd` and
 * `sharedAnonymous` shmem, `hugetlb` hugetlbfs.
 */
export type FileKind = 'tmp' | 'memfd' | 'sharedAnonymous' | 'hugetlb';

/** The page cache of one inode and the VMAs that map it. @kernel address_space */
export class AddressSpace {
  /** Number in `Kernel.mappings`, from 1; stored in `Memory.mapping`. */
  readonly id: number;
  readonly kind: FileKind;
  /** Name that users see; undefined for shared anonymous memory. */
  readonly name: FileId | undefined;
  /** Length in pages, rounded up. @kernel inode.i_size */
  sizePages: number;
  /** Cached pages: file page → pfn of that very page. @kernel address_space.i_pages */
  readonly pages = new Map<number, number>();
  /** tmp: what the disk holds, by page; absent pages are zero. */
  readonly disk = new Map<number, number>();
  /** tmp: cached pages that fault-around does not see: reading ahead goes on there. */
  readonly readIn = new Set<number>();
  /** tmp: pages that reclaim took from the cache → its note; see `workingset.ts`. */
  readonly evicted = new Map<number, number>();
  /** shmem: file pages that are in swap → swap entry. */
  readonly swapped = new Map<number, number>();
  /** VMAs that map the file, by file page. @kernel address_space.i_mmap */
  readonly iMmap: IntervalTree = IntervalPool.tree();
  /** @kernel address_space.i_mmap_rwsem */
  readonly iMmapRwsem: RwSem;
  /** Page read by the last fileread: a second read of it is no new access (tmp files). */
  lastReadPage = -1;
  /** hugetlb: order of its huge pages. @kernel hstate_inode */
  hugeOrder = PMD_ORDER;
  /** hugetlb: file huge-page indices with a reservation or page. */
  readonly reserved = new Set<number>();
  /** Set while mm_take_all_locks holds the i_mmap lock. @kernel AS_MM_ALL_LOCKS */
  lockedByAll = false;
  /** Mappings and open descriptors that keep the inode alive. */
  users = 0;

  constructor(id: number, kind: FileKind, name: FileId | undefined, sizePages: number) {
    this.id = id;
    this.kind = kind;
    this.name = name;
    this.sizePages = sizePages;
    this.iMmapRwsem = new RwSem(`i_mmap ${id}`);
  }
}

/** shmem: swap-backed page cache. */
export function isShmem(mapping: AddressSpace): boolean {
  return mapping.kind === 'memfd' || mapping.kind === 'sharedAnonymous';
}

/** One open of a file: VMAs merge only if they share it (spec 97 §3.2). @kernel file */
export class OpenFile {
  readonly mapping: AddressSpace;
  /**
   * posix_fadvise(POSIX_FADV_NOREUSE): accesses through it do not keep pages in the cache.
   * @kernel FMODE_NOREUSE
   */
  noReuse = false;

  constructor(mapping: AddressSpace) {
    this.mapping = mapping;
  }
}
