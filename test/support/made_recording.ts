import type { WriterInfo } from '../../src/trace/native/native_writer.js';
import type { RecordingInfo } from '../../src/trace/recording.js';

/** What a recording made by hand says of itself, for those who write one. */
export const MADE_INFO: WriterInfo = {
  name: 'made',
  description: '',
  source: 'test',
  precision: 'exact',
  unknowns: [],
  kernel: '',
  pageSizeBytes: 4096,
  cpus: 1,
  thp: '',
  settings: {},
  clock: 'mono',
  startTimeNs: 5,
  lostEvents: 0,
};

/** The same of one without events that is read. */
export const EMPTY_INFO: RecordingInfo = {
  ...MADE_INFO,
  formatVersion: 1,
  events: 0,
  durationNs: 0,
  snapshots: [],
};
