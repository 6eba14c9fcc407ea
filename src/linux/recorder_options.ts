import type { EventSetName } from './trace_events.js';

/** Whom to record. */
export type RecordTarget =
  | { readonly kind: 'command'; readonly command: readonly string[] }
  | { readonly kind: 'pids'; readonly pids: readonly number[] }
  | { readonly kind: 'cgroup'; readonly path: string };

export interface RecordOptions {
  readonly target: RecordTarget;
  /** Directory to make. */
  readonly path: string;
  /** Replace an older recording at `path`. */
  readonly mayReplace: boolean;
  readonly sets: readonly EventSetName[];
  /** Ends the recording after this time; `undefined` for no limit. */
  readonly limitMs: number | undefined;
  /** Ring buffer of each CPU. */
  readonly bufferKib: number;
  /**
   * Time of the first timed snapshot and factor between them (1 = steady); `undefined` for none.
   */
  readonly snapshots: SnapshotSchedule | undefined;
  /** Take a snapshot soon (≤ 20 ms) after new processes appear. */
  readonly snapshotAtFork: boolean;
}

export interface SnapshotSchedule {
  readonly firstMs: number;
  readonly factor: number;
  readonly longestMs: number;
  /** A snapshot waits while it would make all pauses together more than this share of the time. */
  readonly mostPausedShare: number;
}

/** 0.25 s, 1 s, 4 s, 16 s, … and every 5 minutes: something to check even short runs against. */
export const DEFAULT_SCHEDULE: SnapshotSchedule = {
  firstMs: 250,
  factor: 4,
  longestMs: 300_000,
  mostPausedShare: 0.02,
};

/** When the snapshot after the one at `atMs` is due; times count from the start. */
export function nextSnapshotMs(schedule: SnapshotSchedule, atMs: number): number {
  if (schedule.factor === 1) return atMs + schedule.firstMs;
  return Math.min(atMs * schedule.factor, atMs + schedule.longestMs);
}

/** Why a recording ended. */
export type StopReason =
  | 'command ended'
  | 'processes ended'
  | 'time limit'
  | 'interrupted'
  | 'terminated'
  | 'disk full'
  | 'write failed';

/** A system call that ended the writing of a recording. */
export interface WriteFailure {
  /** File that could not be written. */
  readonly path: string;
  /** Name of the system call, and its errno. */
  readonly call: string;
  readonly code: string;
  /** Room on that disk when the recording was closed. */
  readonly freeBytes: number;
}

/** What `record` reports; also kept in the manifest. */
export interface RecordReport {
  readonly schemaVersion: 1;
  readonly path: string;
  /** Pages of the ring buffers as they were, or tables. */
  readonly form: 'raw' | 'native';
  readonly stopReason: StopReason;
  readonly durationMs: number;
  /** Events read; all CPUs. */
  readonly events: number;
  readonly lostEvents: number;
  readonly rawBytes: number;
  /** Raw bytes that could not be written: their events are missing at the end. */
  readonly unwrittenBytes: number;
  /** Why; `undefined` if everything was written. */
  readonly writeFailure: WriteFailure | undefined;
  readonly sizeBytes: number;
  /** Largest amount found waiting in the ring buffers, and their capacity. */
  readonly mostWaitingBytes: number;
  readonly bufferBytes: number;
  readonly snapshots: readonly SnapshotReport[];
  /** Snapshots that were due while a process could not be held. */
  readonly snapshotsLeftOut: number;
  readonly recorderCpuMs: number;
  /** CPU time of the recorded processes; `undefined` if nobody counted it. */
  readonly targetCpuMs: number | undefined;
  /** Events that this kernel does not have. */
  readonly missingEvents: readonly string[];
  /** How the command ended; `undefined` if it still runs or none was started. */
  readonly commandEnd: { readonly exitCode?: number; readonly signal?: string } | undefined;
  /** Process of a command that still runs although it was told to end. */
  readonly runningCommandPid: number | undefined;
  /** A second wish to stop came: the pages of the ring buffers stay as they are. */
  readonly isCutShort: boolean;
}

export interface SnapshotReport {
  readonly name: string;
  readonly processes: number;
  readonly anonPages: number;
  /** How long the processes were held. */
  readonly pauseMs: number;
  readonly how: string;
}
