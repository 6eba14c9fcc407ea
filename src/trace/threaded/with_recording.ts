import type { Recording } from '../recording.js';
import { beginReading } from './reader_thread.js';
import { ThreadedRecording } from './threaded_recording.js';

/**
 * Opens a recording for as long as somebody works with it, and reads it in a second thread where
 * that pays. It stays readable afterwards, without the thread.
 * @param opening Of the same path, for who began before.
 */
export async function withRecording<T>(
  path: string,
  use: (recording: Recording) => Promise<T>,
  opening = beginReading(path),
): Promise<T> {
  if (opening === undefined) {
    const { openRecording } = await import('../open.js');
    return use(await openRecording(path));
  }
  try {
    const recording = await ThreadedRecording.open(opening);
    try {
      return await use(recording);
    } finally {
      recording.leaveThread();
    }
  } finally {
    opening.thread.release();
  }
}
