/** The library where there is no file system. */
export { RmapError } from './base/errors.js';
export type { ErrorCode } from './base/errors.js';
export { DEFAULT_PROFILE } from './kernel/profile.js';
export type { Profile } from './kernel/profile.js';
export { Machine } from './kernel/machine.js';
export type { MachineOptions } from './kernel/machine.js';
export type { Operation, OperationResult, PageValue } from './kernel/operation.js';
export { runScenario } from './kernel/run_scenario.js';
export type { ScenarioOptions, ScenarioRun } from './kernel/run_scenario.js';
export type { MachineState } from './kernel/state/state_types.js';
export { sharingOf, whoMaps } from './query/machine_sharing.js';
export type { PageMapper, PageMappers, ProcessSharing } from './query/machine_sharing.js';
export { replay } from './replay/replay.js';
export type { ReplayOptions, ReplayResult } from './replay/replay.js';
