/** File formats: recordings, scenarios, states; readers, writers and importers. */
export { compareStateFiles, compareStates } from './compare_states.js';
export type { CompareOptions } from './compare_states.js';
export { describeDifference } from './difference.js';
export type { StateComparison, StateDifference } from './difference.js';
export * from './event.js';
export { IMPORT_FORMATS, detectImportFormat, openImport } from './import/imported_recording.js';
export type { ImportFormat, ImportedRecording } from './import/imported_recording.js';
export { importSource } from './import/import_source.js';
export type { ImportOptions, ImportReport } from './import/import_source.js';
export { RecordingWriter, convertRecording } from './native/native_writer.js';
export type { WriterInfo, WriterOptions, WrittenRecording } from './native/native_writer.js';
export { openRecording } from './open.js';
export * from './recording.js';
export { REGION_START_PAGE, formatScenario, parseOperation, parseScenario } from './scenario.js';
export { readScenario } from './scenario_file.js';
export * from './snapshot.js';
export * from './state.js';
export * from './tables.js';
