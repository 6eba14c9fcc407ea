import type { EventBatch } from './event.js';
import type { Snapshot, SnapshotInfo, SnapshotLayout } from './snapshot.js';
import type { StringTable, WordTable } from './tables.js';

/** Version of the native format that this program writes. */
export const FORMAT_VERSION = 1;

/**
 * How much the events tell:
 * - `exact`: every fault with its error code, every change of the address space;
 * - `estimated`: faults without read/write or without kernel faults: sharing is a guess;
 * - `layout`: address spaces and forks only.
 */
export type Precision = 'exact' | 'estimated' | 'layout';

/** What a recording says about itself; the content of `manifest.json` without its file list. */
export interface RecordingInfo {
  /** Version of the native format that this was read from or would be written as. */
  readonly formatVersion: number;
  readonly name: string;
  readonly description: string;
  /** Where the events came from: `tracefs`, `perf script`, `strace`, … */
  readonly source: string;
  readonly precision: Precision;
  /** One sentence for each thing that the source could not know. Empty for `exact`. */
  readonly unknowns: readonly string[];
  /** /proc/version of the recorded machine; empty if unknown. */
  readonly kernel: string;
  readonly pageSizeBytes: number;
  readonly cpus: number;
  /** Content of /sys/kernel/mm/transparent_hugepage/enabled; empty if unknown. */
  readonly thp: string;
  /** Settings of the recorded machine as JSON (THP, KSM, swap, …); empty if unknown. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly clock: string;
  /** Clock reading of the first event. */
  readonly startTimeNs: number;
  /** Number of events, −1 if only reading to the end will tell. */
  readonly events: number;
  /** Time of the last event, −1 if only reading to the end will tell. */
  readonly durationNs: number;
  /** Events that the kernel dropped: their number, −1 if some were but nobody counted. */
  readonly lostEvents: number;
  readonly snapshots: readonly SnapshotInfo[];
}

export interface EventReadOptions {
  /** Rows per batch, 65,536 by default. */
  readonly batchLength?: number;
}

/**
 * An open recording, whatever its format on disk. Errors are `RmapError('input')` and name the
 * file with line or byte offset.
 */
export interface Recording {
  readonly path: string;
  readonly format: 'native' | 'jsonl' | 'raw' | 'text';
  readonly info: RecordingInfo;
  /** Complete for native recordings; filled while reading for the others. */
  readonly strings: StringTable;
  readonly words: WordTable;
  /** Field names of each `other` event, for its cells a … f. */
  readonly fields: ReadonlyMap<string, readonly FieldName[]>;
  /** Reads all events from the start; every call reads anew. */
  events(options?: EventReadOptions): AsyncIterableIterator<EventBatch>;
  /** What one of `info.snapshots` shows besides pages, where that can be had before the rest. */
  layout?(name: string): Promise<SnapshotLayout>;
  /** Reads one of `info.snapshots`. */
  snapshot(name: string): Promise<Snapshot>;
  /** Where an event stands in the file, for messages: `trace.jsonl.gz:123`. */
  positionOf(eventIndex: number): string;
}

/** A field of an `other` event; a `text` cell is a row of the string table. */
export interface FieldName {
  readonly name: string;
  readonly type: 'word' | 'text';
}
