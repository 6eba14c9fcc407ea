import { openRecording } from '../trace/open.js';
import { replay, type ReplayOptions, type ReplayResult } from './replay.js';

/** Opens a recording and replays it. Needs a file system: the rest of the layer runs anywhere. */
export async function replayPath(path: string, options: ReplayOptions = {}): Promise<ReplayResult> {
  return replay(await openRecording(path), options);
}
