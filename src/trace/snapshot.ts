/** Ground truth of a recording at one point: processes, VMAs and pages as the kernel listed them. */

/** Kinds of page runs. The numbers are in-memory only; files use the letters of the names. */
export const RUN = {
  /** Anonymous page. */
  anon: 0,
  /** Anonymous page inside a huge page. */
  huge: 1,
  /** KSM page. */
  ksm: 2,
  /** The shared zero page, small or huge. */
  zero: 3,
  /** File or shared-memory page; no pfn. */
  file: 4,
  /** vdso, vvar and the like; no pfn. */
  special: 5,
  /** Swapped out; no pfn. */
  swap: 6,
} as const;

export type RunKind = (typeof RUN)[keyof typeof RUN];

/** Name of each kind, indexed by its number; used in files. */
export const RUN_NAMES = Object.keys(RUN) as ReadonlyArray<keyof typeof RUN>;

export interface SnapshotProcess {
  readonly pid: number;
  readonly ppid: number;
  readonly comm: string;
  readonly tids: readonly number[];
  /** Addresses in bytes from /proc/PID/stat; 0 if unknown. */
  readonly argStart: number;
  readonly envEnd: number;
  readonly stackStart: number;
  readonly brkStart: number;
  readonly rssAnonKib: number;
  readonly rssFileKib: number;
  readonly rssShmemKib: number;
  readonly swapKib: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
}

/** One line of /proc/PID/smaps. */
export interface SnapshotArea {
  readonly pid: number;
  /** First page number, and the first one behind the VMA. */
  readonly startPage: number;
  readonly endPage: number;
  /** As in maps: `rw-p`. */
  readonly perms: string;
  readonly offsetBytes: number;
  readonly device: string;
  readonly inode: number;
  /** File or `[heap]`; empty for plain anonymous memory. */
  readonly name: string;
  readonly rssKib: number;
  readonly pssKib: number;
  readonly anonKib: number;
  readonly anonHugeKib: number;
  readonly ksmKib: number;
  /** VmFlags: `rd wr mr mw me ac`. */
  readonly flags: string;
}

/** An area with its run of rows in `Snapshot.runs`. */
export interface SnapshotVma extends SnapshotArea {
  readonly runStart: number;
  readonly runEnd: number;
}

/** Runs of present or swapped pages, in the order of VMAs; page and pfn both rise by 1 in a run. */
export interface SnapshotRuns {
  readonly length: number;
  readonly page: Float64Array;
  readonly count: Uint32Array;
  readonly kind: Uint8Array;
  /** First pfn, −1 where there is none. */
  readonly pfn: Float64Array;
  /** /proc/kpagecount, over all processes of the machine; 0 where there is no pfn. */
  readonly mapcount: Uint32Array;
  /** Pagemap bit 56: mapped by this process only. */
  readonly exclusive: Uint8Array;
}

/** Totals in page-table entries. */
export interface SnapshotInfo {
  readonly name: string;
  /** Wall clock, ISO 8601; empty if unknown. */
  readonly time: string;
  readonly processes: number;
  readonly anonPages: number;
  readonly filePages: number;
  readonly zeroPages: number;
  readonly swapPages: number;
}

/** What a snapshot shows besides pages. */
export interface SnapshotLayout {
  readonly name: string;
  readonly procs: readonly SnapshotProcess[];
  /** By process in the order of `procs`, ascending within each. */
  readonly vmas: readonly SnapshotArea[];
}

export interface Snapshot extends SnapshotInfo, SnapshotLayout {
  readonly procs: readonly SnapshotProcess[];
  /** By process in the order of `procs`, ascending within each. */
  readonly vmas: readonly SnapshotVma[];
  readonly runs: SnapshotRuns;
}
