/** Replay of recordings: events → operations in the right order, compared with snapshots. */
export { isExact, SnapshotComparer } from './compare.js';
export type { PageMismatch, SnapshotComparison } from './compare.js';
export type { Findings } from './findings.js';
export type { AttachedProcess, ReplayMoment, ReplayObserver } from './observer.js';
export { replay, replayPath } from './replay.js';
export type { ReplayOptions, ReplayResult } from './replay.js';
export type { ReplayProcess } from './tasks.js';
