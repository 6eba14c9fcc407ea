import { isExact } from '../replay/compare.js';
import type { Findings } from '../replay/findings.js';
import type { ReplayResult } from '../replay/replay.js';
import type { Precision } from '../trace/recording.js';

/** One snapshot's comparison, in pages. */
export interface SnapshotReport {
  readonly name: string;
  readonly anonymousPages: number;
  readonly agree: number;
  readonly missing: number;
  readonly extra: number;
  readonly mapcountWrong: number;
  readonly sharersWrong: number;
  /** Entries that the kernel had swapped out, and how many of them the replay has too. */
  readonly swappedPages: number;
  readonly swappedAgree: number;
}

/** What `rmap replay --json` prints. */
export interface ReplayReport {
  readonly schemaVersion: 1;
  readonly recording: string;
  readonly precision: Precision;
  readonly events: number;
  readonly elapsedMs: number;
  /** Number of lost events, −1 if some were lost but nobody counted. */
  readonly lostEvents: number;
  readonly snapshots: readonly SnapshotReport[];
  readonly findings: Findings;
  /** Every page of every snapshot agrees and nothing is extra; false where nothing was compared. */
  readonly exact: boolean;
}

/** Summary of a replay. */
export function replayReport(result: ReplayResult): ReplayReport {
  const snapshots = result.snapshots.map(({ examples: _examples, ...numbers }) => numbers);
  return {
    schemaVersion: 1,
    recording: result.recording.info.name,
    precision: result.recording.info.precision,
    events: result.events,
    elapsedMs: Math.round(result.elapsedMs),
    lostEvents: result.lostEvents,
    snapshots,
    findings: result.findings,
    exact: snapshots.length > 0 && snapshots.every(isExact),
  };
}

/** Whether a snapshot showed anything that the machine has not, or the other way round. */
export function disagrees({ snapshots }: ReplayReport): boolean {
  return !snapshots.every(isExact);
}

/** `100.0000 %`, rounded down, so that only perfection shows as such. */
export function agreementPercent(snapshot: SnapshotReport): string {
  if (snapshot.anonymousPages === 0) return '100.0000 %';
  const share = snapshot.agree / snapshot.anonymousPages;
  return `${(Math.floor(share * 1e6) / 1e4).toFixed(4)} %`;
}
