/** Questions; each returns one plain, readonly object. */
export { whoMaps, sharingOf } from './machine_sharing.js';
export type { PageMapper, PageMappers, ProcessSharing } from './machine_sharing.js';
export { agreementPercent, replayReport } from './replay_report.js';
export type { ReplayReport, SnapshotReport } from './replay_report.js';
export { runScenarioFile, verifyScenarioFile } from './scenario.js';
export { computeAnonVmas } from './anon_vma_view.js';
export type {
  AnonVmaProcess,
  AnonVmaReading,
  AnonVmaUse,
  AnonVmaView,
  ProcessChains,
} from './anon_vma_view.js';
export { computeLive } from './live.js';
export type {
  LiveProcess,
  LiveReport,
  LiveTotals,
  MemoryUse,
  SharedBy,
  SharingMatrix,
} from './live.js';
export type { NextWorker } from './next_worker.js';
export { vpnOfRow } from './page_map.js';
export type {
  KernelSums,
  Mapcounts,
  PageMapPicture,
  PageRows,
  PictureMethod,
  PictureProcess,
  PictureVma,
} from './page_map.js';
export { joinPages } from './sharing_sets.js';
export type { SharingSet } from './sharing_sets.js';
export { computeWhoObject } from './who_object.js';
export type {
  HeldObject,
  MemoryObject,
  ObjectDescriptor,
  ObjectHolder,
  ObjectMapping,
  WhoObjectReport,
} from './who_object.js';
export { computeWhoPage } from './who_page.js';
export type {
  FrameFactsOfPage,
  FrameFlagName,
  PageEvidence,
  PageHolder,
  PageMapping,
  PageRelease,
  WhoPageReport,
} from './who_page.js';
export { computeWhoProcess } from './who_process.js';
export type { ProcessPartner, ProcessRegion, WhoProcessReport } from './who_process.js';
export { parseWhoTarget } from './who_target.js';
export type { WhoTarget } from './who_target.js';
