import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { RmapError } from '../../base/errors.js';
import { DEFAULT_BATCH_LENGTH, EventBatchBuilder } from '../batch_builder.js';
import type { EventBatch } from '../event.js';
import { EVENT } from '../event.js';
import { FieldRegistry } from '../field_registry.js';
import { inputError } from '../input_error.js';
import { findPlainOrGzip, readAll } from '../input_file.js';
import { SnapshotFiles, readMeta } from '../jsonl/jsonl_recording.js';
import type { EventReadOptions, Recording, RecordingInfo } from '../recording.js';
import { checkShape } from '../schema_error.js';
import type { Snapshot } from '../snapshot.js';
import { StringTable, WordTable } from '../tables.js';
import { CpuStream } from './cpu_stream.js';
import type { Decoder } from './decoders.js';
import { makeDecoders } from './decoders.js';
import type { EventFormat } from './format_file.js';
import { parseEventFormat, subBufferBytes } from './format_file.js';
import { Payload } from './payload.js';

const MOST_FORMATS_BYTES = 1 << 24;
const MOST_CPU = 65_535;
const CPU_FILE = /^cpu(\d{1,5})\.raw(\.gz)?$/;

const FORMATS = v.object({
  header_page: v.string(),
  formats: v.record(v.string(), v.pipe(v.string(), v.maxLength(1 << 16))),
});

/** True if a directory holds the untouched pages of `trace_pipe_raw`. */
export function isRawRecording(directory: string): boolean {
  return readdirSync(directory).some((file) => CPU_FILE.test(file));
}

/** A recording as `cpuN.raw[.gz]` with the format files of its kernel. */
class RawRecording implements Recording {
  readonly format = 'raw';
  readonly strings = new StringTable();
  readonly words = new WordTable();
  readonly path: string;
  readonly info: RecordingInfo;
  readonly #fields = new FieldRegistry();
  readonly #formats: readonly EventFormat[];
  readonly #pageBytes: number;
  readonly #snapshots: SnapshotFiles;

  constructor(
    path: string,
    info: RecordingInfo,
    formats: readonly EventFormat[],
    pageBytes: number,
    snapshots: SnapshotFiles,
  ) {
    this.path = path;
    this.info = info;
    this.#formats = formats;
    this.#pageBytes = pageBytes;
    this.#snapshots = snapshots;
  }

  get fields(): Recording['fields'] {
    return this.#fields.all;
  }

  async *events(options: EventReadOptions = {}): AsyncIterableIterator<EventBatch> {
    const builder = new EventBatchBuilder(options.batchLength ?? DEFAULT_BATCH_LENGTH);
    const merger = new Merger(
      openStreams(this.path, this.#pageBytes),
      makeDecoders(this.#formats, this.#fields),
      new Payload(this.strings, this.words),
    );
    try {
      await merger.start();
      while (await merger.mergeInto(builder)) {
        if (builder.isFull) yield builder.take();
      }
      if (builder.rows > 0) yield builder.take();
    } finally {
      await merger.close();
    }
  }

  snapshot(name: string): Promise<Snapshot> {
    return this.#snapshots.read(name);
  }

  positionOf(eventIndex: number): string {
    return `event ${eventIndex} of the merged CPU files`;
  }
}

function openStreams(directory: string, pageBytes: number): CpuStream[] {
  const streams: CpuStream[] = [];
  for (const file of readdirSync(directory).sort()) {
    const cpu = Number(CPU_FILE.exec(file)?.[1] ?? NaN);
    if (Number.isNaN(cpu)) continue;
    if (cpu > MOST_CPU || streams.some((stream) => stream.cpu === cpu)) {
      throw inputError(`${join(directory, file)}: CPU ${cpu} is above ${MOST_CPU} or there twice`);
    }
    streams.push(new CpuStream(join(directory, file), cpu, pageBytes));
  }
  return streams.sort((left, right) => left.cpu - right.cpu);
}

/** Merges the streams of all CPUs by time; ties keep the order of CPU numbers. */
class Merger {
  readonly #all: readonly CpuStream[];
  #streams: CpuStream[];
  readonly #decoders: ReadonlyMap<number, Decoder>;
  readonly #payload: Payload;
  #firstNs = -1;

  constructor(
    streams: readonly CpuStream[],
    decoders: ReadonlyMap<number, Decoder>,
    payload: Payload,
  ) {
    this.#all = streams;
    this.#streams = [...streams];
    this.#decoders = decoders;
    this.#payload = payload;
  }

  async start(): Promise<void> {
    const filled: CpuStream[] = [];
    for (const stream of this.#streams) if (await stream.fill()) filled.push(stream);
    const stamps = filled.map((stream) => stream.firstStamp ?? 0n);
    const epoch = stamps.reduce((least, stamp) => (stamp < least ? stamp : least), stamps[0] ?? 0n);
    this.#streams = [];
    for (const stream of filled) {
      stream.epoch = epoch;
      if (await moveOn(stream)) this.#streams.push(stream);
    }
  }

  async close(): Promise<void> {
    for (const stream of this.#all) await stream.close();
  }

  /** Adds events until the batch is full or a stream needs data; false when all are at the end. */
  async mergeInto(builder: EventBatchBuilder): Promise<boolean> {
    for (;;) {
      const stream = this.#earliest();
      if (stream === undefined) return false;
      if (this.#takeFrom(stream, builder)) return true;
      if (!(await moveOn(stream))) this.#streams.splice(this.#streams.indexOf(stream), 1);
    }
  }

  #earliest(): CpuStream | undefined {
    let best = this.#streams[0];
    for (const stream of this.#streams) {
      if (best !== undefined && stream.timeNs < best.timeNs) best = stream;
    }
    return best;
  }

  /** Takes events of one stream while they are the earliest; false if it has run out of pages. */
  #takeFrom(stream: CpuStream, builder: EventBatchBuilder): boolean {
    let untilNs = Infinity;
    for (const other of this.#streams) {
      // On ties the lower CPU number goes first.
      const limit = other.cpu < stream.cpu ? other.timeNs - 1 : other.timeNs;
      if (other !== stream && limit < untilNs) untilNs = limit;
    }
    const payload = this.#payload;
    payload.bytes = stream.bytes;
    if (this.#firstNs === -1) this.#firstNs = stream.timeNs;
    while (stream.timeNs <= untilNs) {
      if (builder.isFull) return true;
      const timeNs = stream.timeNs - this.#firstNs;
      if (stream.lostBefore !== 0) {
        builder.push(EVENT.lost, timeNs, stream.cpu, 0, -1, stream.lostBefore);
        stream.lostBefore = 0;
        continue;
      }
      payload.start = stream.payloadStart;
      payload.end = stream.payloadEnd;
      this.#decode(stream, builder, timeNs);
      if (!stream.advance()) return false;
    }
    return true;
  }

  #decode(stream: CpuStream, builder: EventBatchBuilder, timeNs: number): void {
    const payload = this.#payload;
    const decoder = this.#decoders.get(payload.type);
    if (decoder === undefined) {
      throw stream.error(payload.start, `event type ${payload.type} is in no format file`);
    }
    if (payload.end - payload.start < decoder.leastBytes) {
      throw stream.error(payload.start, `event type ${payload.type} is too short`);
    }
    try {
      decoder.decode(payload, builder, timeNs, stream.cpu);
    } catch (error) {
      if (!(error instanceof RmapError)) throw error;
      throw stream.error(payload.start, error.message);
    }
  }
}

/** Moves a stream to its next event, loading pages as needed; false at its end. */
async function moveOn(stream: CpuStream): Promise<boolean> {
  while (!stream.advance()) if (!(await stream.fill())) return false;
  return true;
}

/** Opens a directory with raw pages. */
export async function openRawRecording(directory: string): Promise<Recording> {
  const path = findPlainOrGzip(join(directory, 'formats.json'));
  if (path === undefined) throw inputError(`${directory}: raw pages, but no formats.json`);
  const text = (await readAll(path, MOST_FORMATS_BYTES)).toString('utf8');
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw inputError(`${path}: malformed JSON`, error);
  }
  const { header_page: headerPage, formats } = checkShape(FORMATS, parsed, path);
  try {
    const events = Object.entries(formats).map(([name, format]) => parseEventFormat(name, format));
    makeDecoders(events, new FieldRegistry());
    const snapshots = await SnapshotFiles.find(directory);
    const info = await readMeta(directory, snapshots.infos);
    // meta.json counts without the marks of lost events.
    const counted = { ...info, events: info.lostEvents === 0 ? info.events : -1 };
    return new RawRecording(directory, counted, events, subBufferBytes(headerPage), snapshots);
  } catch (error) {
    if (error instanceof RmapError && !error.message.includes(directory)) {
      throw inputError(`${path}: ${error.message}`, error);
    }
    throw error;
  }
}
