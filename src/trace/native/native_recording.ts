import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_BATCH_LENGTH } from '../batch_builder.js';
import type { EventBatch } from '../event.js';
import { inputError } from '../input_error.js';
import { readAll } from '../input_file.js';
import type { EventReadOptions, FieldName, Recording, RecordingInfo } from '../recording.js';
import type { Snapshot } from '../snapshot.js';
import { StringTable, WordTable } from '../tables.js';
import { NativeEventReader } from './event_reader.js';
import type { Manifest } from './manifest.js';
import { MANIFEST_FILE, MOST_MANIFEST_BYTES, infoOfManifest, parseManifest } from './manifest.js';
import { GroupMemory, readNativeSnapshot } from './snapshot_reader.js';

/** True if a directory holds a recording in the native format. */
export function isNativeRecording(directory: string): boolean {
  return existsSync(join(directory, MANIFEST_FILE));
}

/** A recording as `manifest.json` and Parquet tables. */
class NativeRecording implements Recording {
  readonly format = 'native';
  readonly strings = new StringTable();
  readonly words = new WordTable();
  readonly path: string;
  readonly info: RecordingInfo;
  readonly fields: ReadonlyMap<string, readonly FieldName[]>;
  readonly #manifest: Manifest;
  readonly #groups = new GroupMemory();

  constructor(path: string, manifest: Manifest) {
    this.path = path;
    this.info = infoOfManifest(manifest);
    this.fields = new Map(Object.entries(manifest.fields));
    this.#manifest = manifest;
  }

  async *events(options: EventReadOptions = {}): AsyncIterableIterator<EventBatch> {
    const reader = new NativeEventReader(this.path, this.#manifest, this);
    try {
      yield* reader.batches(options.batchLength ?? DEFAULT_BATCH_LENGTH);
    } finally {
      reader.close();
    }
  }

  async snapshot(name: string): Promise<Snapshot> {
    const found = this.#manifest.snapshots.find((snapshot) => snapshot.name === name);
    if (found === undefined) {
      throw inputError(`${this.path}: no snapshot with the name ${JSON.stringify(name)}`);
    }
    return readNativeSnapshot(this.path, found, this.#groups);
  }

  positionOf(eventIndex: number): string {
    return `event ${eventIndex}`;
  }
}

/** Opens a directory with a recording in the native format. */
export async function openNativeRecording(directory: string): Promise<Recording> {
  const path = join(directory, MANIFEST_FILE);
  const text = (await readAll(path, MOST_MANIFEST_BYTES)).toString('utf8');
  return new NativeRecording(directory, parseManifest(text, path));
}
