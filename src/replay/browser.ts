/** The layer without what needs a file system: a page brings its own `Recording`. */
export { isExact, SnapshotComparer } from './compare.js';
export type { PageMismatch, SnapshotComparison } from './compare.js';
export type { Findings } from './findings.js';
export type { AttachedProcess, ReplayMoment, ReplayObserver } from './observer.js';
export { replay } from './replay.js';
export type { ReplayOptions, ReplayResult } from './replay.js';
export type { ReplayProcess } from './tasks.js';
