import * as v from 'valibot';
import { inputError } from '../input_error.js';
import type { RecordingInfo } from '../recording.js';
import { FORMAT_VERSION } from '../recording.js';
import { boundedText, checkShape, wholeNumber } from '../schema_error.js';

/** Name of the manifest in a recording directory. */
export const MANIFEST_FILE = 'manifest.json';
export const MOST_MANIFEST_BYTES = 1 << 26;
const FORMAT_NAME = 'rmap recording';
const MOST_SNAPSHOTS = 100_000;

const ROWS = v.tuple([wholeNumber(), wholeNumber()]);
const TEXT = boundedText();

const SNAPSHOT = v.object({
  name: boundedText(256),
  time: boundedText(64),
  processes: wholeNumber(),
  anonPages: wholeNumber(),
  filePages: wholeNumber(),
  zeroPages: wholeNumber(),
  swapPages: wholeNumber(),
  rows: v.object({ processes: ROWS, vmas: ROWS, runs: ROWS }),
});

const TABLE_FILE = v.object({ name: TEXT, rows: wholeNumber(), sizeBytes: wholeNumber() });

const MANIFEST = v.object({
  format: v.literal(FORMAT_NAME),
  formatVersion: v.literal(FORMAT_VERSION),
  name: boundedText(256),
  description: TEXT,
  source: boundedText(256),
  precision: v.picklist(['exact', 'estimated', 'layout']),
  unknowns: v.array(TEXT),
  kernel: TEXT,
  pageSizeBytes: v.literal(4096),
  cpus: wholeNumber(65_536),
  thp: TEXT,
  settings: v.record(v.string(), v.unknown()),
  clock: TEXT,
  startTimeNs: wholeNumber(),
  events: wholeNumber(2 ** 31),
  lostEvents: v.pipe(v.number(), v.integer(), v.minValue(-1)),
  durationNs: wholeNumber(),
  snapshots: v.pipe(v.array(SNAPSHOT), v.maxLength(MOST_SNAPSHOTS)),
  /** Fields of each `other` event, for its cells a … f. */
  fields: v.record(
    v.string(),
    v.pipe(v.array(v.object({ name: TEXT, type: v.picklist(['word', 'text']) })), v.maxLength(6)),
  ),
  tables: v.array(TABLE_FILE),
});

export type Manifest = v.InferOutput<typeof MANIFEST>;
export type ManifestSnapshot = v.InferOutput<typeof SNAPSHOT>;
export type TableFile = v.InferOutput<typeof TABLE_FILE>;

/** Makes the manifest of version n + 1 out of that of version n. */
export type Upgrade = (manifest: Record<string, unknown>) => Record<string, unknown>;

/** Upgrades by the version that they start from. Version 1 is the first one. */
const UPGRADES: ReadonlyMap<number, Upgrade> = new Map();

/**
 * Brings a parsed manifest to the newest version, one step at a time. A newer version than this
 * program knows is refused with its number.
 */
export function upgradeManifest(
  parsed: unknown,
  where: string,
  newest: number = FORMAT_VERSION,
  upgrades: ReadonlyMap<number, Upgrade> = UPGRADES,
): Record<string, unknown> {
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw inputError(`${where}: expected an object`);
  }
  let manifest: Record<string, unknown> = { ...parsed };
  if (manifest['format'] !== FORMAT_NAME) {
    throw inputError(`${where}: not the manifest of a recording (no "format": "${FORMAT_NAME}")`);
  }
  const version = manifest['formatVersion'];
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1) {
    throw inputError(`${where}: formatVersion is ${JSON.stringify(version)}, expected a number`);
  }
  if (version > newest) {
    throw inputError(
      `${where}: written in format version ${version}, this program reads up to ${newest}`,
    );
  }
  for (let from = version; from < newest; from += 1) {
    const upgrade = upgrades.get(from);
    if (upgrade === undefined)
      throw inputError(`${where}: format version ${from} is not supported`);
    manifest = { ...upgrade(manifest), formatVersion: from + 1 };
  }
  return manifest;
}

/** Parses a manifest of any supported version. */
export function parseManifest(text: string, where: string): Manifest {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw inputError(`${where}: malformed JSON`, error);
  }
  return checkShape(MANIFEST, upgradeManifest(parsed, where), where);
}

export function formatManifest(manifest: Omit<Manifest, 'format' | 'formatVersion'>): string {
  // Last, so that the version of what was converted does not count.
  const whole = { format: FORMAT_NAME, ...manifest, formatVersion: FORMAT_VERSION };
  return `${JSON.stringify(whole, undefined, 1)}\n`;
}

/** What a recording says about itself, from its manifest. */
export function infoOfManifest(manifest: Manifest): RecordingInfo {
  const { format: _format, fields: _fields, tables: _tables, ...info } = manifest;
  return { ...info, snapshots: manifest.snapshots.map(({ rows: _rows, ...rest }) => rest) };
}
