/** File formats: recordings, scenarios, states; readers, writers and importers. */
export * from './event.js';
export { openRecording } from './open.js';
export * from './recording.js';
export * from './snapshot.js';
export * from './tables.js';
