/**
 * The closed union of operations: everything that can be done to a machine.
 *
 * Page numbers are absolute virtual page numbers inside the engine; the scenario format counts
 * from its region start (`trace/scenario.ts` converts). Field names are those of the scenario
 * format, so a parsed line is an operation.
 */

/** Protection letters: any of `r`, `w`, `x` in this order, or `n` for PROT_NONE. */
export type Prot = 'n' | 'r' | 'w' | 'x' | 'rw' | 'rx' | 'wx' | 'rwx';

export type MadviseAdvice =
  | 'normal'
  | 'random'
  | 'sequential'
  | 'willneed'
  | 'dontneed'
  | 'free'
  | 'remove'
  | 'dontfork'
  | 'dofork'
  | 'mergeable'
  | 'unmergeable'
  | 'hugepage'
  | 'nohugepage'
  | 'dontdump'
  | 'dodump'
  | 'wipeonfork'
  | 'keeponfork'
  | 'cold'
  | 'pageout'
  | 'populate_read'
  | 'populate_write'
  | 'dontneed_locked'
  | 'collapse'
  | 'guard_install'
  | 'guard_remove';

/** Name of a file in the scenario, as given by its `file` operation. */
export type FileId = string | number;

/** A page range of one process. */
interface RangeOperation {
  readonly p: number;
  readonly at: number;
  readonly n: number;
}

/** Flags are `|`-joined: private shared anon fixed hugetlb populate locked noreserve growsdown stack. */
export interface MmapOperation {
  readonly op: 'mmap';
  readonly p: number;
  /** First page; absent: the kernel chooses. */
  readonly at?: number | undefined;
  readonly n: number;
  readonly prot: Prot;
  readonly flags: string;
  readonly file?: FileId;
  /** File offset in pages. */
  readonly off?: number;
}

export type Operation =
  | MmapOperation
  | (RangeOperation & { readonly op: 'munmap' | 'munlock' })
  | (RangeOperation & { readonly op: 'mprotect'; readonly prot: Prot })
  | (RangeOperation & { readonly op: 'mlock'; readonly onfault?: number })
  | (RangeOperation & {
      readonly op: 'mremap';
      readonly new: number;
      readonly to?: number;
      /** none, maymove, fixed (MAYMOVE|FIXED), dontunmap (MAYMOVE|DONTUNMAP), `|`-joined. */
      readonly flags: string;
    })
  | (RangeOperation & { readonly op: 'madvise'; readonly advice: MadviseAdvice })
  | (RangeOperation & { readonly op: 'read' })
  | (RangeOperation & { readonly op: 'write'; readonly v: number })
  | { readonly op: 'fork'; readonly p: number; readonly c: number }
  /** A process that shares the address space of `p` until it exits or execs. */
  | { readonly op: 'vfork' | 'clone_vm'; readonly p: number; readonly c: number }
  /** `p` gets what `q`, of which it was forked, maps in the range, as a fork now would leave it. */
  | (RangeOperation & { readonly op: 'inherit'; readonly q: number })
  | { readonly op: 'exec'; readonly p: number }
  /** One page-fault exception of user mode, without the access that raised it. */
  | { readonly op: 'fault'; readonly p: number; readonly at: number; readonly write: number }
  /** `current`, `future`, `onfault`, `|`-joined. */
  | { readonly op: 'mlockall'; readonly p: number; readonly flags: string }
  | { readonly op: 'munlockall'; readonly p: number }
  /** One scan of khugepaged over the process. */
  | { readonly op: 'khugepaged'; readonly p: number }
  | { readonly op: 'exit'; readonly p: number }
  /** The heap starts at a page; `end`: and the break is there, with whatever is mapped between. */
  | { readonly op: 'brk_at'; readonly p: number; readonly at: number; readonly end?: number }
  | { readonly op: 'brk'; readonly p: number; readonly at: number }
  | (RangeOperation & { readonly op: 'pin' | 'vmsplice'; readonly id: number })
  /** A long-term pin for reading only; `fast` tries without locks first. */
  | (RangeOperation & { readonly op: 'pin_read'; readonly id: number; readonly fast: number })
  | { readonly op: 'unpin'; readonly p: number; readonly id: number }
  | { readonly op: 'vmdrain'; readonly p: number; readonly id: number; readonly n: number }
  | (RangeOperation & { readonly op: 'pvm_write'; readonly q: number; readonly v: number })
  | (RangeOperation & { readonly op: 'mem_write'; readonly v: number })
  | (RangeOperation & {
      readonly op: 'uffd_move';
      readonly to: number;
      readonly allow_holes?: number;
    })
  /**
   * `mode`: missing, wp, `|`-joined. `features` of the process's userfaultfd, by the first call:
   * sigbus, wp_async, wp_unpopulated, event_fork, `|`-joined.
   */
  | (RangeOperation & {
      readonly op: 'uffd_register';
      readonly mode: string;
      readonly features?: string;
    })
  | (RangeOperation & { readonly op: 'uffd_unregister' | 'uffd_zero' })
  | (RangeOperation & { readonly op: 'uffd_wp'; readonly on: number })
  /** Fills empty entries with pages that hold `v`, protected against writes with `wp`. */
  | (RangeOperation & { readonly op: 'uffd_copy'; readonly v: number; readonly wp?: number })
  /** move_pages(2); `all` moves folios that others may map too. Results are nodes or -errno. */
  | (RangeOperation & { readonly op: 'move_pages'; readonly node: number; readonly all?: number })
  /** migrate_pages(2): everything of the process. */
  | {
      readonly op: 'migrate_pages';
      readonly p: number;
      readonly from: number;
      readonly to: number;
      readonly all?: number;
    }
  /** The memory behind the range fails (MADV_HWPOISON), or may soon (MADV_SOFT_OFFLINE). */
  | (RangeOperation & { readonly op: 'memory_failure' | 'soft_offline' })
  /** process_madvise(2) of `p` on memory of `q`. */
  | (RangeOperation & {
      readonly op: 'process_madvise';
      readonly q: number;
      readonly advice: MadviseAdvice;
    })
  /** A write to /proc/PID/clear_refs. */
  | {
      readonly op: 'clear_refs';
      readonly p: number;
      readonly what: 'all' | 'anon' | 'mapped' | 'soft_dirty';
    }
  | { readonly op: 'prctl_merge'; readonly p: number; readonly on: number }
  | {
      readonly op: 'file';
      readonly id: FileId;
      readonly n: number;
      readonly kind: 'tmp' | 'memfd' | 'memfd_hugetlb' | 'memfd_hugetlb1g';
    }
  | {
      readonly op: 'filewrite';
      readonly file: FileId;
      readonly at: number;
      readonly n: number;
      readonly v: number;
    }
  | {
      readonly op: 'fileread' | 'punch';
      readonly file: FileId;
      readonly at: number;
      readonly n: number;
    }
  | { readonly op: 'ftruncate'; readonly file: FileId; readonly n: number }
  /**
   * posix_fadvise(2) through each descriptor of the file so far: every `mmap` opens the file anew,
   * so mappings made later have nothing of it.
   */
  | { readonly op: 'fadvise'; readonly file: FileId; readonly advice: 'noreuse' | 'normal' }
  | { readonly op: 'config'; readonly key: string; readonly value: string | number }
  | { readonly op: 'ksm'; readonly scans: number }
  /** ksmd found the pages of `p` at `at` and of `q` at `to` equal: the first gives way. */
  | {
      readonly op: 'ksm_merge';
      readonly p: number;
      readonly at: number;
      readonly q: number;
      readonly to: number;
    }
  /** Reclaim takes the anonymous folios of the range, used or not and whoever shares them. */
  | (RangeOperation & { readonly op: 'swap_out' })
  | { readonly op: 'ksm_unmerge' }
  /** A new swap area of `n` pages, 64 MiB by default. */
  | { readonly op: 'swapon'; readonly kind?: 'zram' | 'file'; readonly n?: number }
  | { readonly op: 'swapoff' }
  | { readonly op: 'memcg'; readonly p: number; readonly on: number }
  | { readonly op: 'reclaim' }
  | { readonly op: 'dump'; readonly label: string }
  | { readonly op: 'drain' }
  | { readonly op: 'sleep'; readonly ms: number }
  | { readonly op: 'compact' };

/**
 * A value read from a page: the word, or the signal that the access raised; `UFFD`: the access
 * waits for a userfaultfd handler.
 */
export type PageValue = number | 'SEGV' | 'BUS' | 'UFFD' | null;

/** What one operation answered. Field names are those of the state format. */
export interface OperationResult {
  readonly ret: number;
  /** Name of the errno, with `ret` −1. */
  readonly err?: string;
  /** Minor faults of a read or write. */
  readonly flt?: number;
  /** Major faults of a read or write. */
  readonly maj?: number;
  /** Run-length coded values: `[value, count]`. */
  readonly vals?: ReadonlyArray<readonly [PageValue, number]>;
}
