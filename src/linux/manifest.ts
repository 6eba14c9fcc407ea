import { basename } from 'node:path';
import { PAGE_SIZE_BYTES } from '../base/units.js';
import type { HostSettings } from './host.js';
import type { RecordOptions, RecordReport } from './recorder_options.js';
import type { SnapshotTotals } from './snapshot_lines.js';

/** Version of the raw form: pages of the ring buffers with a JSON manifest. */
const RAW_FORMAT_VERSION = 1;

export interface ManifestParts {
  readonly options: RecordOptions;
  readonly description: string;
  readonly settings: HostSettings;
  readonly cpuCount: number;
  readonly firstTimeNs: number | undefined;
  /** `undefined` while the recording runs; a recording that keeps it so was killed. */
  readonly report: Omit<RecordReport, 'sizeBytes'> | undefined;
  readonly totals: readonly SnapshotTotals[];
}

/** The manifest of a raw recording. */
export function manifestText(parts: ManifestParts): string {
  const { options, settings, report } = parts;
  const manifest = {
    name: basename(options.path).replace(/\.rec$/, ''),
    description: parts.description,
    format: 'raw',
    formatVersion: RAW_FORMAT_VERSION,
    complete: report !== undefined,
    kernel: settings.kernel,
    thp: settings.thp['enabled'] ?? '',
    page_size: PAGE_SIZE_BYTES,
    clock: 'mono',
    t0_ns: parts.firstTimeNs ?? 0,
    cpus: parts.cpuCount,
    sets: options.sets,
    // Left out if some are missing: only reading tells then.
    events: report?.writeFailure === undefined ? report?.events : undefined,
    lost: report?.lostEvents,
    raw_bytes: report?.rawBytes,
    unknowns: unknownsOf(report),
    snapshots: parts.totals,
    settings,
    recorder: report,
  };
  return `${JSON.stringify(manifest, undefined, 1)}\n`;
}

/** What this recording cannot know, one sentence each. */
function unknownsOf(report: ManifestParts['report']): string[] {
  const unknowns: string[] = [];
  if (report === undefined) unknowns.push('the recorder was killed: the last second is missing');
  const missing = report?.missingEvents ?? [];
  if (missing.length > 0) unknowns.push(`the kernel lacks ${missing.join(', ')}`);
  const failure = report?.writeFailure;
  if (failure !== undefined) {
    const { path, code } = failure;
    unknowns.push(`${basename(path)} could not be written (${code}): the end is missing`);
  }
  return unknowns;
}
