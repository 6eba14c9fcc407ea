/**
 * Goal: a damaged recording is replayed as far as it makes sense or refused in one line that names
 * the place; never a hang, never a stack trace. Method: real recordings with cells of events, page
 * runs of snapshots, and bytes of files damaged at random.
 */
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RmapError } from '../src/base/errors.js';
import { runCli } from '../src/cli/run_cli.js';
import { commandTable } from '../src/cli/command_table.js';
import { replay, replayPath } from '../src/replay/index.js';
import { EVENT_KIND_COUNT, type EventBatch } from '../src/trace/event.js';
import { openRecording } from '../src/trace/open.js';
import type { Recording } from '../src/trace/recording.js';
import type { Snapshot } from '../src/trace/snapshot.js';
import { dataPath, temporaryDirectory } from './support/trace_events.js';

const PATIENCE_MS = 240_000;
/** Small, so that a run is short. */
const MEMORY_PAGES = 65_536;

/** Cells that no honest event has, or that mean something else elsewhere. */
const CELLS = [0, -1, -5000, 1, 4, 12, 25, 0x22, 0x32, 512, 4095, 4096, 2 ** 21, 2 ** 31, 2 ** 40];
const WILD_CELLS = [...CELLS, 2 ** 47 - 4096, 2 ** 47, 2 ** 52, 2 ** 53 - 1];
const COLUMNS = ['a', 'b', 'c', 'd', 'e', 'f'] as const;

/** One damage to an event; `at` and `from` are fractions of the recording. */
interface EventDamage {
  readonly what: 'cell' | 'copy' | 'kind' | 'tid' | 'text';
  readonly at: number;
  readonly from: number;
  readonly column: (typeof COLUMNS)[number];
  readonly value: number;
  readonly usesOther: boolean;
}

const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const eventDamage: fc.Arbitrary<EventDamage> = fc.record({
  what: fc.constantFrom('cell', 'cell', 'copy', 'kind', 'tid', 'text'),
  at: fraction,
  from: fraction,
  column: fc.constantFrom(...COLUMNS),
  value: fc.constantFrom(...WILD_CELLS),
  usesOther: fc.boolean(),
});
const runDamage = fc.record({
  at: fraction,
  from: fraction,
  what: fc.constantFrom('kind', 'pfn', 'mapcount'),
  value: fc.constantFrom(0, -1, 1, 2, 5, 2 ** 31 - 1, 2 ** 52),
});

function damageEvents(batch: EventBatch, list: readonly EventDamage[]): EventBatch {
  const { length } = batch;
  const damaged = {
    ...batch,
    kind: batch.kind.slice(),
    tid: batch.tid.slice(),
    text: batch.text.slice(),
    a: batch.a.slice(),
    b: batch.b.slice(),
    c: batch.c.slice(),
    d: batch.d.slice(),
    e: batch.e.slice(),
    f: batch.f.slice(),
  };
  for (const one of list) {
    const at = Math.floor(one.at * length);
    const from = Math.floor(one.from * length);
    const other = damaged[one.column][from] ?? 0;
    if (one.what === 'cell') damaged[one.column][at] = one.usesOther ? other : one.value;
    if (one.what === 'kind') damaged.kind[at] = Math.floor(one.from * EVENT_KIND_COUNT);
    if (one.what === 'tid' || one.what === 'copy') {
      damaged.tid[at] = one.usesOther ? (damaged.tid[from] ?? 0) : one.value;
    }
    if (one.what === 'text' || one.what === 'copy') damaged.text[at] = damaged.text[from] ?? -1;
    if (one.what !== 'copy') continue;
    damaged.kind[at] = damaged.kind[from] ?? 0;
    for (const column of COLUMNS) damaged[column][at] = damaged[column][from] ?? 0;
  }
  return damaged;
}

function damageSnapshot(
  snapshot: Snapshot,
  list: ReadonlyArray<{ at: number; from: number; what: string; value: number }>,
): Snapshot {
  const { length } = snapshot.runs;
  const runs = {
    ...snapshot.runs,
    kind: snapshot.runs.kind.slice(),
    pfn: snapshot.runs.pfn.slice(),
    mapcount: snapshot.runs.mapcount.slice(),
  };
  for (const { at, from, what, value } of list) {
    const row = Math.floor(at * length);
    if (what === 'kind') runs.kind[row] = Math.floor(from * 7);
    else if (what === 'mapcount') runs.mapcount[row] = value;
    else runs.pfn[row] = from < 0.5 ? value : (runs.pfn[Math.floor(from * length)] ?? 0);
  }
  return { ...snapshot, runs };
}

/**
 * The message of an input error, or undefined if the replay went through. Any other error is
 * thrown.
 */
async function refusal(run: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    if (error instanceof RmapError && error.code === 'input') return error.message;
    throw error;
  }
}

/** One line that names the recording or an event of it. */
function isPlaced(message: string, path: string): boolean {
  return !message.includes('\n') && message.includes(path);
}

describe('replay of damaged recordings', () => {
  for (const name of ['join', 'orphans', 'raw-pages']) {
    test(`${name}: cells of events and runs`, { timeout: PATIENCE_MS }, async () => {
      const source = await openRecording(dataPath(`recordings/${name}`));
      const batches: EventBatch[] = [];
      for await (const batch of source.events()) batches.push(batch);
      const snapshots = new Map<string, Snapshot>();
      for (const info of source.info.snapshots) {
        snapshots.set(info.name, await source.snapshot(info.name));
      }
      const unplaced: string[] = [];
      const events = fc.array(eventDamage, { minLength: 1, maxLength: 40 });
      const property = fc.asyncProperty(
        events,
        fc.array(runDamage, { maxLength: 5 }),
        async (eventList, runList) => {
          const damaged: Recording = {
            path: source.path,
            format: source.format,
            info: source.info,
            strings: source.strings,
            words: source.words,
            fields: source.fields,
            positionOf: (index) => source.positionOf(index),
            async snapshot(wanted) {
              const found = snapshots.get(wanted) ?? (await source.snapshot(wanted));
              return damageSnapshot(found, runList);
            },
            async *events() {
              for (const batch of batches) yield damageEvents(batch, eventList);
            },
          };
          const message = await refusal(() => replay(damaged, { memoryPages: MEMORY_PAGES }));
          if (message !== undefined && !isPlaced(message, name)) unplaced.push(message);
        },
      );
      await fc.assert(property, { seed: 42, numRuns: 25 });
      expect(unplaced).toEqual([]);
    });
  }

  test('bytes of every file', { timeout: PATIENCE_MS }, async () => {
    const messages: string[] = [];
    // One directory of each kind: text, raw pages, tables.
    const kinds = { 'raw-pages': /jsonl|meta/, raw: /raw|formats|meta/, join: /parquet|manifest/ };
    for (const [name, files] of Object.entries(kinds)) {
      const from = name === 'raw' ? 'raw-pages' : name;
      const copy = join(temporaryDirectory(), name);
      cpSync(dataPath(`recordings/${from}`), copy, {
        recursive: true,
        filter: (path) => path.endsWith(from) || files.test(path),
      });
      for (const file of readdirSync(copy)) {
        messages.push(...(await refusalsOf(copy, join(copy, file))));
      }
    }
    expect(messages.filter((message) => !isPlaced(message, 'rmap-test-'))).toEqual([]);
    expect(messages.length).toBeGreaterThan(50);
  });

  test('the command says where in one line', { timeout: PATIENCE_MS }, async () => {
    const copy = join(temporaryDirectory(), 'cut');
    cpSync(dataPath('recordings/raw-pages'), copy, { recursive: true });
    const path = join(copy, 'trace.jsonl.gz');
    const lines = gunzipSync(readFileSync(path)).toString().split('\n');
    lines[99] = (lines[99] ?? '').slice(0, 20);
    writeFileSync(path, gzipSync(lines.join('\n')));
    const written: string[] = [];
    const stream = { write: (text: string) => written.push(text), isTTY: false };
    const code = await runCli(['replay', copy], commandTable, {
      env: { NO_COLOR: '1' },
      stdout: { write: () => true, isTTY: false },
      stderr: stream,
    } as unknown as Parameters<typeof runCli>[2]);
    expect(code).toBe(2);
    expect(written.join('')).toMatch(/^rmap: [^\n]*trace\.jsonl\.gz:100[^\n]*\n$/);
  });
});

/** Replays cut and flipped versions of a file, or of what is in it if it is compressed. */
async function refusalsOf(directory: string, path: string): Promise<string[]> {
  const stored = readFileSync(path);
  const isCompressed = path.endsWith('.gz');
  const content = isCompressed ? gunzipSync(stored) : stored;
  const damages = fc.record({ at: fraction, bit: fc.nat(7), cuts: fc.boolean() });
  const messages: string[] = [];
  for (const { at, bit, cuts } of fc.sample(damages, { seed: 42, numRuns: 8 })) {
    const place = Math.floor(at * content.length);
    const damaged = Buffer.from(cuts ? content.subarray(0, place) : content);
    if (!cuts) damaged[place] = (damaged[place] ?? 0) ^ (1 << bit);
    writeFileSync(path, isCompressed ? gzipSync(damaged, { level: 1 }) : damaged);
    const message = await refusal(() => replayPath(directory, { memoryPages: MEMORY_PAGES }));
    if (message !== undefined) messages.push(message);
  }
  writeFileSync(path, stored);
  return messages;
}
