import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import * as v from 'valibot';
import { RmapError } from '../../base/errors.js';
import { DEFAULT_BATCH_LENGTH, EventBatchBuilder } from '../batch_builder.js';
import type { EventBatch } from '../event.js';
import { FieldRegistry } from '../field_registry.js';
import { inputError } from '../input_error.js';
import {
  MOST_EVENT_LINE_BYTES,
  countLines,
  findPlainOrGzip,
  readAll,
  readLineBlocks,
} from '../input_file.js';
import type { EventReadOptions, Recording, RecordingInfo } from '../recording.js';
import { FORMAT_VERSION } from '../recording.js';
import { boundedText, checkShape, wholeNumber } from '../schema_error.js';
import type { Snapshot, SnapshotInfo } from '../snapshot.js';
import { StringTable, WordTable } from '../tables.js';
import { JsonlEventParser } from './event_parser.js';
import { readSnapshot, readSnapshotInfo } from './snapshot_reader.js';

const MOST_META_BYTES = 1 << 24;

const META = v.object({
  name: boundedText(256),
  description: v.optional(boundedText(), ''),
  kernel: v.optional(boundedText(), ''),
  thp: v.optional(boundedText(256), ''),
  page_size: v.optional(wholeNumber(2 ** 30), 4096),
  settings: v.optional(v.record(v.string(), v.unknown()), {}),
  clock: v.optional(boundedText(64), ''),
  t0_ns: v.optional(wholeNumber(), 0),
  events: v.optional(wholeNumber()),
  lost: v.optional(wholeNumber(), 0),
  cpus: v.optional(wholeNumber(65_536), 0),
  precision: v.optional(v.picklist(['exact', 'estimated', 'layout']), 'exact'),
  unknowns: v.optional(v.array(boundedText()), []),
});

/** Name of the snapshot in a file name `snap-NAME.jsonl` or `snap-NAME.jsonl.gz`. */
const SNAPSHOT_FILE = /^snap-(.+)\.jsonl(\.gz)?$/;

/** True if a directory holds a recording as JSON lines. */
export function isJsonlRecording(directory: string): boolean {
  return findPlainOrGzip(join(directory, 'trace.jsonl')) !== undefined;
}

/** Reads `meta.json` of a recording as JSON lines or raw pages. */
export async function readMeta(
  directory: string,
  snapshots: readonly SnapshotInfo[],
): Promise<RecordingInfo> {
  const path = join(directory, 'meta.json');
  let parsed: unknown;
  try {
    parsed = JSON.parse((await readAll(path, MOST_META_BYTES)).toString('utf8'));
  } catch (error) {
    if (error instanceof RmapError) throw error;
    throw inputError(`${path}: malformed JSON`, error);
  }
  const meta = checkShape(META, parsed, path);
  if (meta.page_size !== 4096) {
    throw inputError(`${path}: pages of ${meta.page_size} bytes; only 4096 are supported`);
  }
  return {
    formatVersion: FORMAT_VERSION,
    name: meta.name,
    description: meta.description,
    source: 'tracefs',
    precision: meta.precision,
    unknowns: meta.unknowns,
    kernel: meta.kernel,
    pageSizeBytes: meta.page_size,
    cpus: meta.cpus,
    thp: meta.thp,
    settings: meta.settings,
    clock: meta.clock,
    startTimeNs: meta.t0_ns,
    events: meta.events ?? -1,
    durationNs: -1,
    lostEvents: meta.lost,
    snapshots,
  };
}

/** Snapshot files of a directory, in the order in which they were taken. */
export class SnapshotFiles {
  readonly infos: readonly SnapshotInfo[];
  readonly #paths: ReadonlyMap<string, string>;

  private constructor(found: ReadonlyArray<readonly [SnapshotInfo, string]>) {
    this.infos = found.map(([info]) => info);
    this.#paths = new Map(found.map(([info, path]) => [info.name, path]));
  }

  static async find(directory: string): Promise<SnapshotFiles> {
    const found: Array<readonly [SnapshotInfo, string]> = [];
    for (const file of readdirSync(directory).sort()) {
      if (!SNAPSHOT_FILE.test(file)) continue;
      const path = join(directory, file);
      const info = await readSnapshotInfo(path);
      if (found.some(([other]) => other.name === info.name)) {
        throw inputError(`${path}: a second snapshot with the name ${JSON.stringify(info.name)}`);
      }
      found.push([info, path]);
    }
    found.sort(([left], [right]) => (left.time < right.time ? -1 : left.time > right.time ? 1 : 0));
    return new SnapshotFiles(found);
  }

  async read(name: string): Promise<Snapshot> {
    const path = this.#paths.get(name);
    if (path === undefined) throw inputError(`no snapshot with the name ${JSON.stringify(name)}`);
    return readSnapshot(path);
  }
}

/** A recording as `meta.json`, `trace.jsonl[.gz]` and `snap-*.jsonl[.gz]`. */
class JsonlRecording implements Recording {
  readonly format = 'jsonl';
  readonly strings = new StringTable();
  readonly words = new WordTable();
  readonly path: string;
  readonly info: RecordingInfo;
  readonly #tracePath: string;
  readonly #snapshots: SnapshotFiles;
  readonly #fields = new FieldRegistry();

  constructor(path: string, tracePath: string, info: RecordingInfo, snapshots: SnapshotFiles) {
    this.path = path;
    this.info = info;
    this.#tracePath = tracePath;
    this.#snapshots = snapshots;
  }

  get fields(): Recording['fields'] {
    return this.#fields.all;
  }

  async *events(options: EventReadOptions = {}): AsyncIterableIterator<EventBatch> {
    const builder = new EventBatchBuilder(options.batchLength ?? DEFAULT_BATCH_LENGTH);
    const parser = new JsonlEventParser(this.strings, this.words, this.#fields);
    let lines = 0;
    for await (const block of readLineBlocks(this.#tracePath, MOST_EVENT_LINE_BYTES)) {
      parser.start(block);
      for (;;) {
        let hasMore: boolean;
        try {
          hasMore = parser.parseInto(builder);
        } catch (error) {
          if (!(error instanceof RmapError)) throw error;
          const line = lines + countLines(block, parser.offset) + 1;
          throw inputError(`${this.#tracePath}:${line}: ${error.message}`, error);
        }
        if (!hasMore) break;
        yield builder.take();
      }
      lines = builder.events;
    }
    if (builder.rows > 0) yield builder.take();
    const { events } = this.info;
    if (events !== -1 && builder.events !== events) {
      throw inputError(
        `${this.#tracePath}:${builder.events}: the file ends after ${builder.events} events, ` +
          `meta.json says ${events}`,
      );
    }
  }

  snapshot(name: string): Promise<Snapshot> {
    return this.#snapshots.read(name);
  }

  positionOf(eventIndex: number): string {
    return `${basename(this.#tracePath)}:${eventIndex + 1}`;
  }
}

/** Opens a directory with a recording as JSON lines. */
export async function openJsonlRecording(directory: string): Promise<Recording> {
  const tracePath = findPlainOrGzip(join(directory, 'trace.jsonl'));
  if (tracePath === undefined) throw inputError(`${directory}: no trace.jsonl`);
  const snapshots = await SnapshotFiles.find(directory);
  const info = await readMeta(directory, snapshots.infos);
  return new JsonlRecording(directory, tracePath, info, snapshots);
}
