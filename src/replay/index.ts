/** Replay of recordings: events → operations in the right order, compared with snapshots. */
export * from './browser.js';
export { replayPath } from './replay_path.js';
