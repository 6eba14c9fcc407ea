import type { Precision } from '../../trace/recording.js';
import type { SnapshotReport } from '../replay_report.js';

/**
 * What `rmap explain --json` prints. Sizes are bytes, times are nanoseconds since the first event,
 * `process` fields are indexes into `processes`. All memory here is anonymous: file pages are
 * shared by other rules.
 */
export interface ExplainReport {
  readonly schemaVersion: 1;
  readonly recording: string;
  /** Precision of the events: with `estimated` or `layout`, so is every number below. */
  readonly precision: Precision;
  /** What the source of the recording could not know. */
  readonly unknowns: readonly string[];
  readonly events: number;
  /** Events that were lost while recording; −1: some, nobody counted. */
  readonly lostEvents: number;
  readonly durationNs: number;
  /** The part of the recording that the report is about. */
  readonly window: { readonly fromNs: number; readonly toNs: number };
  readonly proof: Proof;
  readonly summary: Summary;
  readonly processes: readonly ProcessReport[];
  readonly forks: readonly ForkReport[];
  /** Most bytes first. */
  readonly causes: readonly CauseReport[];
  /** Most bytes unshared first. */
  readonly regions: readonly RegionReport[];
  /** One for each parent with several children. */
  readonly fanOut: readonly FanOutReport[];
  readonly advice: readonly Advice[];
  /** What `--fail-if` asked. */
  readonly budgets: readonly Budget[];
  readonly timeline: Timeline;
}

/** How the replay compares with what the kernel itself listed. */
export interface Proof {
  readonly pagesAgree: number;
  readonly pages: number;
  /** In the replay, but not in the kernel's list. */
  readonly pagesExtra: number;
  readonly exact: boolean;
  readonly snapshots: readonly SnapshotReport[];
}

export interface Summary {
  /** One sentence for people; everything in it is also a field. */
  readonly sentence: string;
  readonly forks: number;
  /**
   * Pages that a child had in common with its parent when it was born, added over all forks. A
   * fork from before the window counts what was still shared when the window began.
   */
  readonly sharedBytes: number;
  /** Part of `sharedBytes` that ended because one of the two wrote. */
  readonly unsharedBytes: number;
  readonly unsharedByParentBytes: number;
  readonly unsharedByChildrenBytes: number;
  /** Ended otherwise: exec, exit, munmap and the like. */
  readonly endedOtherwiseBytes: number;
  readonly stillSharedBytes: number;
  /** Memory that unsharing cost: one page for each copy. */
  readonly copiedBytes: number;
  /** Time from a fork within which half, and 90 %, of the unsharing was done; −1 if none. */
  readonly halfNs: number;
  readonly mostNs: number;
  /** Children by unshared bytes, most first. */
  readonly byChild: ReadonlyArray<{ readonly process: number; readonly bytes: number }>;
  /** Page-table entries that forks copied. */
  readonly forkEntries: number;
}

/** One address space: an exec ends one and begins another with the same pid. */
export interface ProcessReport {
  readonly pid: number;
  /** Index of the address space that it was forked from; −1 for the first, and after an exec. */
  readonly parent: number;
  readonly comm: string;
  readonly executable: string;
  readonly startNs: number;
  /** −1 while it lives. */
  readonly endNs: number;
  readonly end: 'running' | 'exit' | 'exec';
  /** Copies that its writes made of shared pages. */
  readonly copiedBytes: number;
  /** At the end of the window, or just before it ended. */
  readonly rssBytes: number;
  readonly pssBytes: number;
  readonly ussBytes: number;
  readonly mostUssBytes: number;
  /** Zero-page entries at the end of the window; they cost nothing. */
  readonly zeroBytes: number;
}

/** Why pages that were shared at a fork are no longer shared, in bytes. */
export interface ForkEnds {
  readonly childWrote: number;
  readonly parentWrote: number;
  readonly childDiscarded: number;
  readonly parentDiscarded: number;
  readonly childExec: number;
  readonly parentExec: number;
  readonly childExit: number;
  readonly parentExit: number;
  /** Moved by mremap, merged, swapped out. */
  readonly other: number;
}

export interface ForkReport {
  readonly timeNs: number;
  readonly parent: number;
  readonly child: number;
  readonly sharedBytes: number;
  readonly stillSharedBytes: number;
  readonly ends: ForkEnds;
  /** Page-table entries put into the child: what the fork itself cost. */
  readonly copiedEntries: number;
  /** Shared pages that lay in 2 MiB pages at the fork. */
  readonly hugeBytes: number;
  /** Time after the fork within which half of its unsharing was done; −1 if nothing was. */
  readonly halfNs: number;
  readonly bornInWindow: boolean;
}

/** Where the instruction lies that wrote. */
export interface Writer {
  /** File name of executable or library, `kernel`, an address if no mapping is known, `unknown`. */
  readonly module: string;
  readonly modulePath: string;
  /** Offset of the instruction in the file; −1 if not in a file. */
  readonly offset: number;
  /** Function, if the file on this machine is the recorded one and has the symbol. */
  readonly symbol: string | undefined;
  /** Its name as the linker knows it, if that is another one: C++ and Rust. */
  readonly linkerSymbol: string | undefined;
}

export interface CauseReport {
  readonly writer: Writer;
  /** Different instructions of this writer. */
  readonly instructions: number;
  readonly executable: string;
  /** Index into `regions`. */
  readonly region: number;
  /** One page for each copy. */
  readonly bytes: number;
  readonly faults: number;
  /** Part of `bytes` that the forking side wrote. */
  readonly parentBytes: number;
  /** Indexes of the processes that wrote, most bytes first. */
  readonly processes: readonly number[];
  readonly distinctPages: number;
  /** Distinct pages ÷ pages of the region that were shared at a fork. */
  readonly density: number;
  /** Most processes that copied one and the same page, and how many could have. */
  readonly fanOut: number;
  readonly fanOutOf: number;
  /** The same on average; a process that copies a page at each fork counts once. */
  readonly meanFanOut: number;
  readonly firstNs: number;
  readonly lastNs: number;
  /**
   * Part of the faults that follow the one before at the next pages up: near 1 for a sweep through
   * memory, such as a garbage collection; near 0 for scattered writes.
   */
  readonly sequential: number;
}

export type RegionKind =
  | 'heap'
  | 'stack'
  | 'arena'
  | 'thread stack'
  | 'data'
  | 'bss'
  | 'anonymous'
  | 'file';

export interface RegionReport {
  readonly kind: RegionKind;
  readonly label: string;
  readonly executable: string;
  /** Distinct pages that were shared at some fork. */
  readonly pages: number;
  /** Added over forks. */
  readonly sharedBytes: number;
  /** Copies made of its pages. */
  readonly copiedBytes: number;
  readonly distinctPages: number;
  readonly strip: Strip | undefined;
}

/** Pages of a region in the order of their addresses, cut into bins. */
export interface Strip {
  readonly firstAddress: number;
  readonly pagesPerBin: number;
  /** Pages shared at a fork, by bin. */
  readonly pages: readonly number[];
  readonly rows: ReadonlyArray<{
    readonly process: number;
    /** Pages that the process copied, by bin. */
    readonly copied: readonly number[];
    /** Mean time of these copies in milliseconds from the begin of the window; 0 for no copies. */
    readonly atMs: readonly number[];
  }>;
}

export interface FanOutReport {
  readonly parent: number;
  readonly children: readonly number[];
  /** Item k: pages of the parent that exactly k children copied. */
  readonly pagesByChildren: readonly number[];
  /** Pages that the parent copied itself. */
  readonly parentPages: number;
}

/** A change that would have kept memory shared. Always inferred: the change was not made. */
export interface Advice {
  readonly kind: 'exec' | 'sweep' | 'walk' | 'write-before-fork' | 'refork' | 'shorter' | 'discard';
  readonly title: string;
  readonly detail: string;
  /** Memory that would not have been copied (or page-table entries × page size, for `exec`). */
  readonly keptBytes: number;
  readonly precision: 'inferred';
  /** What must hold for the number to be right. */
  readonly assumption: string;
}

/** One `--fail-if` expression and how it came out. */
export interface Budget {
  readonly expression: string;
  /** The measured value: percent for shared_after, bytes for unshared_bytes. */
  readonly value: number;
  /** The condition for failing came true. */
  readonly failed: boolean;
  /** Why the value may not mean what was asked; empty if it does. */
  readonly note: string;
}

export interface Timeline {
  readonly timesNs: readonly number[];
  readonly processes: readonly ProcessCurve[];
  readonly forks: readonly ForkCurve[];
}

/** Values at `timesNs[firstIndex + i]`. */
export interface ProcessCurve {
  readonly process: number;
  readonly firstIndex: number;
  readonly rssBytes: readonly number[];
  readonly pssBytes: readonly number[];
  readonly ussBytes: readonly number[];
  readonly swapBytes: readonly number[];
}

export interface ForkCurve {
  readonly fork: number;
  readonly firstIndex: number;
  /** Still shared between parent and child. */
  readonly sharedBytes: readonly number[];
}
