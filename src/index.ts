/** The library: a machine, what can be done to it, and what can be asked of it. */
export * from './browser.js';
export { replayPath } from './replay/replay_path.js';
