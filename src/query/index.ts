/** Questions; each returns one plain, readonly object. */
export { whoMaps, sharingOf } from './machine_sharing.js';
export type { PageMapper, PageMappers, ProcessSharing } from './machine_sharing.js';
export { agreementPercent, replayReport } from './replay_report.js';
export type { ReplayReport, SnapshotReport } from './replay_report.js';
export { runScenarioFile, verifyScenarioFile } from './scenario.js';
