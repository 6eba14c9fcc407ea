import { withRecording } from '../trace/threaded/with_recording.js';
import { replay, type ReplayOptions, type ReplayResult } from './replay.js';

/**
 * Opens a recording and replays it; a long one is read in a second thread. Needs a file system: the
 * rest of the layer runs anywhere.
 */
export function replayPath(path: string, options: ReplayOptions = {}): Promise<ReplayResult> {
  return withRecording(path, (recording) => replay(recording, options));
}
