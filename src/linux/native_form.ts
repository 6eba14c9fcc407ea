import { copyFileSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { RmapError } from '../base/errors.js';
import { convertRecording } from '../trace/native/native_writer.js';
import { openRecording } from '../trace/open.js';
import { MANIFEST_FILE } from './recording_directory.js';

/** What of the raw form stays beside the tables: how it was recorded, and the format files. */
const KEPT: readonly (readonly [from: string, to: string])[] = [
  [MANIFEST_FILE, 'recorder.json'],
  ['formats.json.gz', 'formats.json.gz'],
];

/** Thrown to end a conversion that is not wanted any more. */
class Unwanted extends Error {}

/**
 * Turns a finished recording of raw pages into the native form, under the same name. Returns its
 * size, or why it stays as it was: a full disk, or SIGINT or SIGTERM meanwhile. Nothing is lost
 * then; every command reads both forms.
 */
export async function makeNative(
  path: string,
  onProgress: (events: number) => void,
): Promise<{ readonly sizeBytes: number } | { readonly keptBecause: string }> {
  const fresh = `${path}.native`;
  let isUnwanted = false;
  const stop = (): void => {
    isUnwanted = true;
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    await convertRecording(await openRecording(path), fresh, {
      onProgress(events) {
        if (isUnwanted) throw new Unwanted();
        onProgress(events);
      },
    });
  } catch (error) {
    if (error instanceof Unwanted) return { keptBecause: 'it was interrupted' };
    if (error instanceof RmapError && error.code !== 'bug') return { keptBecause: error.message };
    throw error;
  } finally {
    process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop);
  }
  exchange(path, fresh);
  const sizes = readdirSync(path).map((name) => statSync(join(path, name)).size);
  return { sizeBytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** A complete recording has one of the two names at any moment. */
function exchange(path: string, fresh: string): void {
  for (const [from, to] of KEPT) copyFileSync(join(path, from), join(fresh, to));
  const raw = `${path}.raw`;
  renameSync(path, raw);
  renameSync(fresh, path);
  rmSync(raw, { recursive: true });
}
