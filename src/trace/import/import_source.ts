import { existsSync, statSync } from 'node:fs';
import { inputError } from '../input_error.js';
import type { WriterOptions } from '../native/native_writer.js';
import { convertRecording } from '../native/native_writer.js';
import { openRecording } from '../open.js';
import type { Precision, Recording } from '../recording.js';
import type { ImportFormat } from './imported_recording.js';
import { openImport } from './imported_recording.js';

/** What an import wrote, and what its source could not tell. */
export interface ImportReport {
  readonly schemaVersion: 1;
  /** What was read: file or directory. */
  readonly source: string;
  /** The tool or form that the source came from. */
  readonly sourceFormat: string;
  /** The recording that was written. */
  readonly target: string;
  readonly events: number;
  readonly snapshots: number;
  readonly sizeBytes: number;
  /** Events that the source lost, −1 if some were lost but nobody counted. */
  readonly lostEvents: number;
  readonly precision: Precision;
  /** One sentence for each thing that the source could not tell. */
  readonly unknowns: readonly string[];
}

export interface ImportOptions extends WriterOptions {
  /** Format of a text; found out if it is not given. */
  readonly format?: ImportFormat;
  readonly onProgress?: (events: number) => void;
}

/** Writes a text of another tool, or a recording in another form, in the native format. */
export async function importSource(
  source: string,
  target: string,
  options: ImportOptions = {},
): Promise<ImportReport> {
  const recording = await openSource(source, options.format);
  const written = await convertRecording(recording, target, options);
  const { info } = recording;
  return {
    schemaVersion: 1,
    source,
    sourceFormat: recording.format === 'text' ? info.source : recording.format,
    target,
    events: written.events,
    snapshots: written.snapshots,
    sizeBytes: written.sizeBytes,
    lostEvents: written.lostEvents,
    precision: info.precision,
    unknowns: info.unknowns,
  };
}

async function openSource(source: string, format: ImportFormat | undefined): Promise<Recording> {
  if (!existsSync(source)) throw inputError(`${source}: no such file or directory`);
  return statSync(source).isDirectory() ? openRecording(source) : openImport(source, format);
}
