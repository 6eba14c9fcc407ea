import { basename } from 'node:path';
import { RmapError } from '../../base/errors.js';
import { DEFAULT_BATCH_LENGTH, EventBatchBuilder } from '../batch_builder.js';
import type { EventBatch } from '../event.js';
import { FieldRegistry } from '../field_registry.js';
import { inputError } from '../input_error.js';
import { readLines } from '../input_file.js';
import type { EventReadOptions, Recording, RecordingInfo } from '../recording.js';
import { FORMAT_VERSION } from '../recording.js';
import type { Snapshot } from '../snapshot.js';
import { StringTable, WordTable } from '../tables.js';
import { judgeCoverage } from './coverage.js';
import type { Coverage } from './coverage.js';
import { FtraceTextImporter, isFtraceLine } from './ftrace_text.js';
import { ImportSink } from './import_sink.js';
import type { TextImporter } from './importer.js';
import { PerfScriptImporter, isPerfScriptLine } from './perf_script.js';
import { PerfTraceImporter, isPerfTraceLine } from './perf_trace.js';
import { StraceImporter, isStraceLine } from './strace.js';

/** Longest line of a text: two paths and some fields. */
const MOST_LINE_BYTES = 1 << 14;
/** Lines that are looked at to find out which tool wrote a text. */
const SNIFFED_LINES = 500;

/** Formats of text that can be imported. */
export const IMPORT_FORMATS = ['perf-script', 'ftrace', 'strace', 'perf-trace'] as const;
export type ImportFormat = (typeof IMPORT_FORMATS)[number];

interface FormatRow {
  readonly looksLike: (line: string) => boolean;
  readonly make: (sink: ImportSink) => TextImporter;
  /** Name of the tool. */
  readonly source: string;
  readonly clock: string;
}

const FORMATS: Readonly<Record<ImportFormat, FormatRow>> = {
  'perf-script': {
    looksLike: isPerfScriptLine,
    make: (sink) => new PerfScriptImporter(sink),
    source: 'perf script',
    clock: 'perf',
  },
  ftrace: {
    looksLike: isFtraceLine,
    make: (sink) => new FtraceTextImporter(sink),
    source: 'ftrace',
    clock: '',
  },
  strace: {
    looksLike: isStraceLine,
    make: (sink) => new StraceImporter(sink),
    source: 'strace',
    clock: 'realtime',
  },
  'perf-trace': {
    looksLike: isPerfTraceLine,
    make: (sink) => new PerfTraceImporter(sink),
    source: 'perf trace',
    clock: '',
  },
};

/** Finds out which tool wrote a text: the format that most of its first lines fit. */
export async function detectImportFormat(path: string): Promise<ImportFormat> {
  const hits = new Map<ImportFormat, number>();
  let lines = 0;
  for await (const line of readLines(path, MOST_LINE_BYTES)) {
    for (const format of IMPORT_FORMATS) {
      if (FORMATS[format].looksLike(line)) hits.set(format, (hits.get(format) ?? 0) + 1);
    }
    lines += 1;
    if (lines === SNIFFED_LINES) break;
  }
  const [best] = [...hits].sort(([, left], [, right]) => right - left);
  if (best !== undefined) return best[0];
  throw inputError(
    `${path}: none of the first ${lines} lines looks like perf script, ftrace, strace or perf trace`,
  );
}

/** A text of another tool, read as a recording. What it could not tell is known after reading. */
export class ImportedRecording implements Recording {
  readonly format = 'text';
  readonly path: string;
  readonly strings = new StringTable();
  readonly words = new WordTable();
  readonly #format: FormatRow;
  readonly #fields = new FieldRegistry();
  #coverage: Coverage = { precision: 'layout', unknowns: [] };
  #sink: ImportSink | undefined;
  #cpus = 0;
  /** End of every batch: number behind its last event, and the line read last. */
  #batchLines: Array<readonly [event: number, line: number]> = [];

  constructor(path: string, format: ImportFormat) {
    this.path = path;
    this.#format = FORMATS[format];
  }

  get fields(): Recording['fields'] {
    return this.#fields.all;
  }

  get info(): RecordingInfo {
    const sink = this.#sink;
    const startNs = (sink?.startSeconds ?? 0) * 1e9 + (sink?.startNs ?? 0);
    return {
      formatVersion: FORMAT_VERSION,
      name: basename(this.path)
        .replace(/\.gz$/, '')
        .replace(/\.\w+$/, ''),
      description: `imported from text of ${this.#format.source}`,
      source: this.#format.source,
      precision: this.#coverage.precision,
      unknowns: this.#coverage.unknowns,
      kernel: '',
      pageSizeBytes: 4096,
      cpus: this.#cpus,
      thp: '',
      settings: {},
      clock: this.#format.clock,
      // Nanoseconds since 1970 do not fit a double.
      startTimeNs: Number.isSafeInteger(startNs) ? startNs : 0,
      events: -1,
      durationNs: -1,
      lostEvents: sink?.lostEvents ?? 0,
      snapshots: [],
    };
  }

  async *events(options: EventReadOptions = {}): AsyncIterableIterator<EventBatch> {
    const builder = new EventBatchBuilder(options.batchLength ?? DEFAULT_BATCH_LENGTH);
    const sink = new ImportSink(builder, this.strings, this.words, this.#fields);
    const importer = this.#format.make(sink);
    this.#sink = sink;
    this.#batchLines = [];
    let lineNumber = 0;
    for await (const line of readLines(this.path, MOST_LINE_BYTES)) {
      lineNumber += 1;
      try {
        importer.line(line.endsWith('\r') ? line.slice(0, -1) : line);
      } catch (error) {
        if (!(error instanceof RmapError)) throw error;
        throw inputError(`${this.path}:${lineNumber}: ${error.message}`, error);
      }
      for (const batch of sink.takeBatches(false)) {
        this.#note(batch, lineNumber);
        yield batch;
      }
    }
    const told = importer.finish();
    this.#coverage = judgeCoverage(sink, told);
    if (builder.events === 0) throw inputError(`${this.path}: no event in ${lineNumber} lines`);
    for (const batch of sink.takeBatches(true)) {
      this.#note(batch, lineNumber);
      yield batch;
    }
  }

  snapshot(name: string): Promise<Snapshot> {
    throw inputError(`${this.path}: a text has no snapshot ${JSON.stringify(name)}`);
  }

  /** The lines between which the event's batch was read. */
  positionOf(eventIndex: number): string {
    const next = this.#batchLines.findIndex(([end]) => end > eventIndex);
    const to = this.#batchLines[next]?.[1];
    const from = this.#batchLines[next - 1]?.[1] ?? 1;
    return `${basename(this.path)}, event ${eventIndex}, lines ${from} to ${to ?? 'the end'}`;
  }

  #note(batch: EventBatch, lineNumber: number): void {
    this.#batchLines.push([batch.firstIndex + batch.length, lineNumber]);
    for (let row = 0; row < batch.length; row += 1) {
      this.#cpus = Math.max(this.#cpus, (batch.cpu[row] ?? 0) + 1);
    }
  }
}

/** Opens a text for import; the format is found out if it is not given. */
export async function openImport(path: string, format?: ImportFormat): Promise<ImportedRecording> {
  return new ImportedRecording(path, format ?? (await detectImportFormat(path)));
}
