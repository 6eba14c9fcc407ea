import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_BATCH_LENGTH } from '../batch_builder.js';
import type { EventBatch } from '../event.js';
import { inputError } from '../input_error.js';
import { readAll } from '../input_file.js';
import type { EventReadOptions, FieldName, Recording, RecordingInfo } from '../recording.js';
import type { Snapshot, SnapshotLayout } from '../snapshot.js';
import { StringTable, WordTable } from '../tables.js';
import { NativeEventReader } from './event_reader.js';
import type { Manifest, ManifestSnapshot } from './manifest.js';
import { MANIFEST_FILE, MOST_MANIFEST_BYTES, infoOfManifest, parseManifest } from './manifest.js';
import { readNativeLayout } from './layout_reader.js';
import { GroupMemory } from './row_groups.js';
import { readNativeSnapshot } from './snapshot_reader.js';
import { nativePosition } from './tables.js';

/** True if a directory holds a recording in the native format. */
export function isNativeRecording(directory: string): boolean {
  return existsSync(join(directory, MANIFEST_FILE));
}

type Tables = Pick<Recording, 'strings' | 'words'>;

/** A recording as `manifest.json` and Parquet tables. */
class NativeRecording implements Recording {
  readonly format = 'native';
  readonly strings: StringTable;
  readonly words: WordTable;
  readonly path: string;
  readonly info: RecordingInfo;
  readonly fields: ReadonlyMap<string, readonly FieldName[]>;
  readonly #manifest: Manifest;
  readonly #groups = new GroupMemory();
  readonly #layouts = new Map<string, SnapshotLayout>();

  constructor(path: string, manifest: Manifest, { strings, words }: Tables) {
    this.path = path;
    this.strings = strings;
    this.words = words;
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

  async layout(name: string): Promise<SnapshotLayout> {
    return this.#layoutOf(this.#find(name));
  }

  async snapshot(name: string): Promise<Snapshot> {
    const found = this.#find(name);
    return readNativeSnapshot(this.path, found, this.#layoutOf(found), this.#groups);
  }

  #find(name: string): ManifestSnapshot {
    const found = this.#manifest.snapshots.find((snapshot) => snapshot.name === name);
    if (found !== undefined) return found;
    throw inputError(`${this.path}: no snapshot with the name ${JSON.stringify(name)}`);
  }

  /** Kept, since who reads a layout reads the snapshot later. */
  #layoutOf(found: ManifestSnapshot): SnapshotLayout {
    let layout = this.#layouts.get(found.name);
    if (layout === undefined) {
      layout = readNativeLayout(this.path, found, this.#groups);
      this.#layouts.set(found.name, layout);
    }
    return layout;
  }

  positionOf(eventIndex: number): string {
    return nativePosition(eventIndex);
  }
}

/**
 * Opens a directory with a recording in the native format.
 * @param tables Where texts and words go; of an earlier reading, or empty.
 */
export async function openNativeRecording(
  directory: string,
  tables: Tables = { strings: new StringTable(), words: new WordTable() },
): Promise<Recording> {
  const path = join(directory, MANIFEST_FILE);
  const text = (await readAll(path, MOST_MANIFEST_BYTES)).toString('utf8');
  return new NativeRecording(directory, parseManifest(text, path), tables);
}
