import { existsSync, statSync } from 'node:fs';
import { inputError } from './input_error.js';
import { isJsonlRecording, openJsonlRecording } from './jsonl/jsonl_recording.js';
import { isNativeRecording, openNativeRecording } from './native/native_recording.js';
import { isRawRecording, openRawRecording } from './raw/raw_recording.js';
import type { Recording } from './recording.js';

/** Opens a recording of any format that is read as it stands: native, JSON lines, raw pages. */
export async function openRecording(path: string): Promise<Recording> {
  if (!existsSync(path)) throw inputError(`${path}: no such file or directory`);
  if (!statSync(path).isDirectory()) {
    throw inputError(`${path}: not a recording directory; text files are read by "rmap import"`);
  }
  if (isNativeRecording(path)) return openNativeRecording(path);
  if (isJsonlRecording(path)) return openJsonlRecording(path);
  if (isRawRecording(path)) return openRawRecording(path);
  throw inputError(`${path}: neither manifest.json nor trace.jsonl nor cpu0.raw in this directory`);
}
