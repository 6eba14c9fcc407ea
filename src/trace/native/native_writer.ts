import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { RmapError } from '../../base/errors.js';
import type { EventBatch } from '../event.js';
import { EVENT, snapshotMark } from '../event.js';
import { reasonOf } from '../input_error.js';
import type { Recording, RecordingInfo } from '../recording.js';
import type { Snapshot } from '../snapshot.js';
import type { EventDictionaries } from './event_writer.js';
import { EventTableWriter } from './event_writer.js';
import type { ManifestSnapshot, TableFile } from './manifest.js';
import { MANIFEST_FILE, formatManifest } from './manifest.js';
import { SnapshotTableWriter } from './snapshot_writer.js';

/** What the writer counts itself need not be known before. */
export type WriterInfo = Omit<
  RecordingInfo,
  'formatVersion' | 'events' | 'durationNs' | 'snapshots'
>;

export interface WriterOptions {
  /** Replace a recording that is there already. Anything else is never replaced. */
  readonly isForced?: boolean;
}

/** What a finished recording holds. */
export interface WrittenRecording {
  readonly path: string;
  readonly events: number;
  readonly snapshots: number;
  readonly sizeBytes: number;
  /** −1 if some were lost but nobody counted. */
  readonly lostEvents: number;
}

/**
 * Writes a recording in the native format. Everything goes to a directory beside the target, which
 * gets its name in `finish`: a half-written recording never bears the target's name.
 */
export class RecordingWriter {
  readonly #target: string;
  readonly #work: string;
  readonly #isForced: boolean;
  readonly #dictionaries: EventDictionaries;
  readonly #events: EventTableWriter;
  readonly #snapshots: ManifestSnapshot[] = [];
  #snapshotTables: SnapshotTableWriter | undefined;
  #eventCount = 0;
  #durationNs = 0;
  #lostEvents = 0;
  #isOpen = true;

  constructor(target: string, dictionaries: EventDictionaries, options: WriterOptions = {}) {
    this.#target = resolve(target);
    this.#isForced = options.isForced ?? false;
    this.#dictionaries = dictionaries;
    checkTarget(this.#target, this.#isForced);
    this.#work = `${this.#target}.partial-${process.pid}`;
    asFileError(this.#work, () => {
      mkdirSync(dirname(this.#target), { recursive: true });
      rmSync(this.#work, { recursive: true, force: true });
      mkdirSync(this.#work, { mode: 0o700 });
    });
    this.#events = new EventTableWriter(this.#work, dictionaries);
  }

  writeEvents(batch: EventBatch): void {
    if (batch.length === 0) return;
    asFileError(this.#work, () => this.#events.write(batch));
    this.#eventCount = batch.firstIndex + batch.length;
    this.#durationNs = batch.timeNs[batch.length - 1] ?? 0;
    for (let row = 0; row < batch.length; row += 1) {
      if (batch.kind[row] === EVENT.lost) this.#countLost(batch.a[row] ?? -1);
    }
  }

  /** Snapshots are written in the order of their marks. */
  writeSnapshot(snapshot: Snapshot): void {
    const tables = (this.#snapshotTables ??= new SnapshotTableWriter(this.#work));
    const { procs: _procs, vmas: _vmas, runs: _runs, ...info } = snapshot;
    const rows = asFileError(this.#work, () => tables.write(snapshot));
    this.#snapshots.push({
      ...info,
      rows: { processes: [...rows.processes], vmas: [...rows.vmas], runs: [...rows.runs] },
    });
  }

  /** Writes the manifest and gives the recording its name. */
  finish(info: WriterInfo): WrittenRecording {
    const tables = asFileError(this.#work, () => this.#finishTables());
    const lostEvents = info.lostEvents === 0 ? this.#lostEvents : info.lostEvents;
    const manifest = formatManifest({
      ...info,
      unknowns: [...info.unknowns],
      pageSizeBytes: 4096,
      events: this.#eventCount,
      durationNs: this.#durationNs,
      lostEvents,
      snapshots: this.#snapshots,
      fields: Object.fromEntries([...this.#dictionaries.fields].map(([k, f]) => [k, [...f]])),
      tables,
    });
    asFileError(this.#target, () => {
      writeFileSync(join(this.#work, MANIFEST_FILE), manifest, { flag: 'wx', mode: 0o600 });
      this.#moveIntoPlace();
    });
    this.#isOpen = false;
    const sizeBytes = tables.reduce((sum, table) => sum + table.sizeBytes, manifest.length);
    return {
      path: this.#target,
      events: this.#eventCount,
      snapshots: this.#snapshots.length,
      sizeBytes,
      lostEvents,
    };
  }

  /** Removes what was written so far; does nothing after `finish`. */
  abandon(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#events.abandon();
    this.#snapshotTables?.abandon();
    rmSync(this.#work, { recursive: true, force: true });
  }

  #countLost(events: number): void {
    this.#lostEvents = events < 0 || this.#lostEvents < 0 ? -1 : this.#lostEvents + events;
  }

  #finishTables(): TableFile[] {
    const tables = this.#events.finish();
    if (this.#snapshotTables !== undefined) tables.push(...this.#snapshotTables.finish());
    return tables;
  }

  #moveIntoPlace(): void {
    checkTarget(this.#target, this.#isForced);
    if (!existsSync(this.#target)) {
      renameSync(this.#work, this.#target);
      return;
    }
    const old = `${this.#target}.old-${process.pid}`;
    renameSync(this.#target, old);
    renameSync(this.#work, this.#target);
    rmSync(old, { recursive: true, force: true });
  }
}

function checkTarget(target: string, isForced: boolean): void {
  if (!existsSync(target)) return;
  if (!isForced) throw new RmapError('usage', `${target} exists; replace it with -f`);
  if (existsSync(join(target, MANIFEST_FILE))) return;
  throw new RmapError(
    'usage',
    `${target} is not a recording and is not replaced, not even with -f`,
  );
}

/** Runs file operations; a failed system call is an error of the environment. */
function asFileError<T>(path: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    if (error instanceof RmapError) throw error;
    throw new RmapError('environment', `${path}: ${reasonOf(error)}`, { cause: error });
  }
}

/**
 * Writes any recording in the native format. Snapshots stand in the order of their marks; those
 * without a mark are last.
 */
export async function convertRecording(
  source: Recording,
  target: string,
  options: WriterOptions & { readonly onProgress?: (events: number) => void } = {},
): Promise<WrittenRecording> {
  const writer = new RecordingWriter(target, source, options);
  try {
    const pending = new Set(source.info.snapshots.map((snapshot) => snapshot.name));
    const ordered: string[] = [];
    for await (const batch of source.events()) {
      writer.writeEvents(batch);
      for (const name of snapshotsIn(batch, source)) if (pending.delete(name)) ordered.push(name);
      options.onProgress?.(batch.firstIndex + batch.length);
    }
    for (const name of [...ordered, ...pending]) writer.writeSnapshot(await source.snapshot(name));
    return writer.finish(source.info);
  } finally {
    writer.abandon();
  }
}

function snapshotsIn(batch: EventBatch, source: Recording): string[] {
  const names: string[] = [];
  for (let row = 0; row < batch.length; row += 1) {
    if (batch.kind[row] !== EVENT.mark) continue;
    const mark = snapshotMark(source.strings.text(batch.text[row] ?? -1));
    if (mark !== undefined && !mark.ends) names.push(mark.name);
  }
  return names;
}
