/** The only code that touches a live Linux: recording, page maps, scenarios on the kernel. */
export { examineHost } from './doctor.js';
export type { DoctorCommand, DoctorReport, DoctorRung } from './doctor.js';
export { recordFlags } from './flag_recorder.js';
export type { FlagRecordOptions, FlagRecordReport, FlagSample } from './flag_recorder.js';
export { takePicture } from './picture.js';
export type { PictureOptions } from './picture.js';
export { findGroup } from './process_groups.js';
export type { ProcessGroup } from './process_groups.js';
export { record } from './recorder.js';
export type { RecordListener } from './recorder.js';
export { DEFAULT_SCHEDULE } from './recorder_options.js';
export type {
  RecordOptions,
  RecordReport,
  RecordTarget,
  SnapshotReport,
  SnapshotSchedule,
  StopReason,
} from './recorder_options.js';
export { DEEP_SETS, DEFAULT_SETS } from './trace_events.js';
export type { EventSetName } from './trace_events.js';
export { answerWho } from './who.js';
export type { WhoReport } from './who.js';
