/**
 * A picture of the page maps of running processes: what `live` and `who` compute from. Whoever
 * reads a kernel (src/linux) or a file fills it; everything here is plain data.
 */

/** Bits of `PageRows.flags`. */
export const PAGE_FLAG = {
  /** File page or shared anonymous memory (pagemap bit 61). */
  file: 1,
  /** The kernel says that only this address space maps the page, once (pagemap bit 56). */
  exclusive: 2,
} as const;

/** The present pages of one process in ascending order of virtual page number. */
export interface PageRows {
  readonly length: number;
  /** Page frame of each row. Without privileges the kernel prints 0 for all. */
  readonly pfn: Uint32Array;
  /** `PAGE_FLAG` bits of each row. */
  readonly flags: Uint8Array;
  /** Runs of consecutive virtual pages: first page of each … */
  readonly runVpn: Float64Array;
  /** … and its first row. A run ends where the next one starts. */
  readonly runRow: Uint32Array;
  readonly runCount: number;
}

/** A mapping with its rows in `PageRows` and `swapEntries`. */
export interface PictureVma {
  readonly startVpn: number;
  readonly endVpn: number;
  readonly permissions: string;
  readonly offsetBytes: number;
  readonly device: string;
  readonly inode: number;
  readonly name: string;
  readonly firstRow: number;
  readonly rowCount: number;
  readonly firstSwap: number;
  readonly swapCount: number;
}

/** What the kernel itself says about the memory of a process; `undefined` if not asked for. */
export interface KernelSums {
  readonly rssBytes: number;
  readonly pssBytes: number;
  /** Private_Clean + Private_Dirty. */
  readonly ussBytes: number;
}

export interface PictureProcess {
  readonly pid: number;
  readonly ppid: number;
  readonly comm: string;
  /** Path of the cgroup, empty if unknown. */
  readonly cgroup: string;
  readonly threadCount: number;
  /** RssAnon + RssFile + RssShmem of /proc/PID/status. */
  readonly rssBytes: number;
  readonly swapBytes: number;
  /** VmPTE: page tables, never shared between address spaces. */
  readonly pageTableBytes: number;
  /** VmPin: memory pinned for devices, io_uring and the like. */
  readonly pinnedBytes: number;
  readonly kernelSums: KernelSums | undefined;
  readonly vmas: readonly PictureVma[];
  readonly rows: PageRows;
  /** Swap slots (`type * 2^44 + slot`) in ascending order of virtual page number. */
  readonly swapEntries: Float64Array;
}

/** Kernel mapcounts of some pages, over all processes of the machine; sorted by pfn. */
export interface Mapcounts {
  readonly pfn: Uint32Array;
  readonly mapcount: Uint32Array;
}

/** How a picture was taken, so that reports can say how far it may be off. */
export interface PictureMethod {
  /**
   * - `frozen`: no process of the group ran meanwhile;
   * - `twice`: processes that ran meanwhile were read again and the readings compared;
   * - `once`: nothing was checked.
   */
  readonly consistency: 'frozen' | 'twice' | 'once';
  /** False if the kernel hides page frame numbers: only flags are known then. */
  readonly hasFrames: boolean;
  /** Pages that differed between the two readings. */
  readonly movedPages: number;
  /** Processes with moved pages. */
  readonly movedPids: readonly number[];
  /**
   * Most pages that the kernel itself may have moved meanwhile (migration, collapse, KSM), if so
   * few of a large group that reading it again was not worth it; else 0.
   */
  readonly kernelMovedPages: number;
  /** Processes that ended while they were read. */
  readonly vanishedPids: readonly number[];
  /** Processes that this user may not look at. */
  readonly deniedPids: readonly number[];
  /** Pagemap entries read, holes and second readings included, and the CPU time of it all. */
  readonly entriesRead: number;
  readonly cpuMs: number;
  /** Present entries that are no ordinary memory (device memory above 16 TiB). */
  readonly skippedPages: number;
}

export interface PageMapPicture {
  /** Wall clock, ISO 8601. */
  readonly time: string;
  readonly processes: readonly PictureProcess[];
  /** Frames of the shared zero page (small, and 512 of the huge one): no memory of anybody. */
  readonly zeroPfns: ReadonlySet<number>;
  /**
   * Mapcounts of the pages that are not exclusive, when `processes` are not all processes of the
   * machine; `undefined` if they are, or if the kernel refuses.
   */
  readonly mapcounts: Mapcounts | undefined;
  /** False on kernels that only keep averages for large folios (CONFIG_NO_PAGE_MAPCOUNT). */
  readonly mapcountsAreExact: boolean;
  /** Whether `processes` are all user processes of the machine. */
  readonly coversMachine: boolean;
  readonly method: PictureMethod;
}

/** Virtual page number of a row of `rows`; binary search over the runs. */
export function vpnOfRow(rows: PageRows, row: number): number {
  let low = 0;
  let high = rows.runCount - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((rows.runRow[middle] ?? 0) <= row) low = middle;
    else high = middle - 1;
  }
  return (rows.runVpn[low] ?? 0) + row - (rows.runRow[low] ?? 0);
}
