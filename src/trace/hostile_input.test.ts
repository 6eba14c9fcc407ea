/** Damaged and hostile files end in an input error with a place, or are read; nothing else. */
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dataPath, temporaryDirectory } from '../../test/support/trace_events.js';
import { RmapError } from '../base/errors.js';
import { openImport } from './import/imported_recording.js';
import { openJsonlRecording } from './jsonl/jsonl_recording.js';
import { convertRecording } from './native/native_writer.js';
import { openRecording } from './open.js';
import { openRawRecording } from './raw/raw_recording.js';
import type { Recording } from './recording.js';
import { parseScenario } from './scenario.js';
import { parseStateFile } from './state.js';

const RAW = dataPath('recordings/raw-pages');
const NATIVE = dataPath('recordings/bash-fork');
/** Damaged versions of each file. */
const RUNS = 200;
/** No read of a small file may take longer, also on a busy machine. */
const MOST_MS = 5000;

/** One damage to bytes. Places are fractions of the length. */
type Damage =
  | { readonly kind: 'cut'; readonly at: number }
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'set'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'repeat'; readonly at: number; readonly length: number };

const place = fc.double({ min: 0, max: 1, noNaN: true });
/** Bytes that numbers and texts of the formats are made of, and extreme ones. */
const nasty = fc.constantFrom(
  '"',
  '[',
  ']',
  '{',
  ',',
  '\n',
  '-',
  '0x',
  '9'.repeat(20),
  'null',
  '1e999',
  '\\u0000',
  '\\',
);
const bytes = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 8 }),
  nasty.map((text) => new Uint8Array(Buffer.from(text))),
  fc.constantFrom(0, 0x7f, 0x80, 0xff).map((byte) => new Uint8Array(4).fill(byte)),
);
const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.record({ kind: fc.constant('cut' as const), at: place }),
  fc.record({ kind: fc.constant('flip' as const), at: place, bit: fc.integer({ min: 0, max: 7 }) }),
  fc.record({ kind: fc.constant('set' as const), at: place, bytes }),
  fc.record({ kind: fc.constant('insert' as const), at: place, bytes }),
  fc.record({
    kind: fc.constant('repeat' as const),
    at: place,
    length: fc.integer({ min: 1, max: 300 }),
  }),
);
const damages = fc.array(damage, { minLength: 1, maxLength: 3 });

function apply(original: Buffer, list: readonly Damage[]): Buffer {
  let content = Buffer.from(original);
  for (const one of list) {
    const at = Math.min(Math.floor(one.at * content.length), Math.max(content.length - 1, 0));
    const [head, tail] = [content.subarray(0, at), content.subarray(at)];
    switch (one.kind) {
      case 'cut':
        content = Buffer.from(head);
        break;
      case 'flip':
        if (content.length > 0) content[at] = (content[at] ?? 0) ^ (1 << one.bit);
        break;
      case 'set':
        content = Buffer.concat([head, one.bytes, tail.subarray(one.bytes.length)]);
        break;
      case 'insert':
        content = Buffer.concat([head, one.bytes, tail]);
        break;
      case 'repeat':
        content = Buffer.concat([head, tail.subarray(0, one.length), tail]);
        break;
    }
  }
  return content;
}

/**
 * Runs a reader; anything but success or an input error of one line is a failure. Returns true if
 * the file was refused.
 */
async function readOrRefuse(read: () => unknown): Promise<boolean> {
  const startMs = performance.now();
  let isRefused = false;
  try {
    await read();
  } catch (error) {
    isRefused = true;
    if (!(error instanceof RmapError) || error.code !== 'input' || error.message.includes('\n')) {
      throw error;
    }
  }
  const elapsedMs = performance.now() - startMs;
  if (elapsedMs > MOST_MS) throw new Error(`took ${elapsedMs} ms`);
  return isRefused;
}

async function readWhole(recording: Recording): Promise<void> {
  for await (const batch of recording.events({ batchLength: 1000 }))
    recording.positionOf(batch.firstIndex);
  for (const { name } of recording.info.snapshots) await recording.snapshot(name);
}

/**
 * Damages one file of a directory in many ways and reads the whole each time. Returns the share of
 * damaged files that were refused.
 */
async function fuzzFile(
  directory: string,
  file: string,
  isCompressed: boolean,
  numRuns: number,
  read: (path: string) => Promise<unknown>,
): Promise<number> {
  const path = join(directory, file);
  const stored = readFileSync(path);
  const original = isCompressed ? gunzipSync(stored) : stored;
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(damages, async (list) => {
      const content = apply(original, list);
      writeFileSync(path, isCompressed ? gzipSync(content, { level: 1 }) : content);
      if (await readOrRefuse(() => read(directory))) refused += 1;
    }),
    { seed: 42, numRuns },
  );
  writeFileSync(path, stored);
  return refused / numRuns;
}

function copyOf(source: string): string {
  const directory = join(temporaryDirectory(), 'copy');
  cpSync(source, directory, { recursive: true });
  return directory;
}

/** A small recording as JSON lines: the first lines of the sample and one snapshot. */
async function smallJsonl(): Promise<string> {
  const directory = copyOf(RAW);
  const path = join(directory, 'trace.jsonl.gz');
  const lines = gunzipSync(readFileSync(path)).toString().split('\n').slice(0, 300);
  writeFileSync(path, gzipSync(`${lines.join('\n')}\n`));
  writeFileSync(join(directory, 'meta.json'), '{"name":"small","cpus":2,"events":300}');
  const snapshot = [
    '{"k":"snap","name":"a","time":"t","pids":1,"anon":3,"file":2,"zero":1,"swap":1}',
    '{"k":"proc","pid":5,"ppid":1,"comm":"x","tids":[5,6],"start_stack":"4096","brk0":8192}',
    '{"k":"vma","pid":5,"s":"10000","e":"20000","p":"rw-p","off":"00","dev":"00:00","ino":0,' +
      '"rss":4,"pss":4,"anon":4,"vf":"rd wr","runs":[["10",2,"A","1a",1,1],["13",1,"K","ff",3,0],' +
      '["14",1,"Z","2",9,0],["18",2,"F"],["1f",1,"swap"]]}',
    '',
  ].join('\n');
  writeFileSync(join(directory, 'snap-a.jsonl.gz'), gzipSync(snapshot));
  return directory;
}

async function smallNative(): Promise<string> {
  const target = join(temporaryDirectory(), 'native');
  await convertRecording(await openJsonlRecording(await smallJsonl()), target);
  return target;
}

const readJsonl = async (path: string) => readWhole(await openJsonlRecording(path));
const readRaw = async (path: string) => readWhole(await openRawRecording(path));
const readNative = async (path: string) => readWhole(await openRecording(path));

describe('damaged files', { timeout: 240_000 }, () => {
  it('of JSON lines', async () => {
    const directory = await smallJsonl();
    await readJsonl(directory);
    expect(await fuzzFile(directory, 'trace.jsonl.gz', true, RUNS, readJsonl)).toBeGreaterThan(0.5);
    // Every byte of a gzip file counts.
    expect(await fuzzFile(directory, 'trace.jsonl.gz', false, RUNS / 2, readJsonl)).toBeGreaterThan(
      0.9,
    );
    expect(await fuzzFile(directory, 'snap-a.jsonl.gz', true, RUNS, readJsonl)).toBeGreaterThan(
      0.5,
    );
    expect(await fuzzFile(directory, 'meta.json', false, RUNS / 2, readJsonl)).toBeGreaterThan(0.3);
  });

  it('of raw pages', async () => {
    const directory = copyOf(RAW);
    const pages = gunzipSync(readFileSync(join(directory, 'cpu0.raw.gz'))).subarray(0, 3 * 4096);
    writeFileSync(join(directory, 'cpu0.raw.gz'), gzipSync(pages));
    writeFileSync(join(directory, 'cpu1.raw.gz'), gzipSync(''));
    await readRaw(directory);
    expect(await fuzzFile(directory, 'cpu0.raw.gz', true, RUNS, readRaw)).toBeGreaterThan(0.3);
    expect(await fuzzFile(directory, 'formats.json.gz', true, RUNS / 2, readRaw)).toBeGreaterThan(
      0.3,
    );
  });

  it('of the native format', async () => {
    const directory = await smallNative();
    await readNative(directory);
    for (const file of readdirSync(directory)) {
      const refused = await fuzzFile(directory, file, false, RUNS / 2, readNative);
      expect([file, refused > 0.4]).toEqual([file, true]);
    }
  });

  it('of imported text', async () => {
    const directory = temporaryDirectory();
    for (const file of readdirSync(dataPath('imports'))) {
      const lines = gunzipSync(readFileSync(dataPath(`imports/${file}`)))
        .toString()
        .split('\n');
      writeFileSync(join(directory, 'text'), lines.slice(0, 60).join('\n'));
      const read = async (path: string) => readWhole(await openImport(join(path, 'text')));
      // A damaged line is often still one, or is skipped and said to be.
      expect(await fuzzFile(directory, 'text', false, RUNS / 2, read)).toBeLessThan(1);
    }
  });

  it('of scenarios and states', async () => {
    const cases = dataPath('../cases');
    const scenario = readFileSync(join(cases, 'fuzz_mthp_1.ops.jsonl'));
    const state = readFileSync(join(cases, 'cow_basic.state.json'));
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(damages, async (list) => {
        const readScenario = () => parseScenario(apply(scenario, list).toString(), 'x');
        const readState = () => parseStateFile(apply(state, list).toString(), 'x');
        if (await readOrRefuse(readScenario)) refused += 1;
        if (await readOrRefuse(readState)) refused += 1;
      }),
      { seed: 42, numRuns: RUNS },
    );
    expect(refused).toBeGreaterThan(RUNS / 2);
  });
});

describe('hostile files', () => {
  it('that unpack to gigabytes are refused in bounded memory', async () => {
    const directory = await smallJsonl();
    // Members of 64 MiB of one byte: 4 GiB in all, 4 MiB on disk.
    const member = gzipSync(Buffer.alloc(1 << 26, '['));
    const bomb = Buffer.concat(Array.from({ length: 64 }, () => member));
    const before = process.memoryUsage().rss;
    for (const file of ['trace.jsonl.gz', 'snap-a.jsonl.gz']) {
      const path = join(directory, file);
      const stored = readFileSync(path);
      writeFileSync(path, bomb);
      await expect(readJsonl(directory)).rejects.toMatchObject({ code: 'input' });
      writeFileSync(path, stored);
    }
    writeFileSync(join(directory, 'formats.json.gz'), bomb);
    await expect(readRaw(directory)).rejects.toThrow(/more than \d+ bytes/);
    expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(1200);
  });

  it('in place of a recording are refused by name', async () => {
    const directory = temporaryDirectory();
    await expect(openRecording(directory)).rejects.toThrow(
      /neither manifest\.json nor trace\.jsonl/,
    );
    await expect(openRecording(join(directory, 'none'))).rejects.toThrow(/none: no such file/);
    writeFileSync(join(directory, 'file'), 'x');
    await expect(openRecording(join(directory, 'file'))).rejects.toThrow(
      /not a recording directory/,
    );
    mkdirSync(join(directory, 'a/manifest.json'), { recursive: true });
    await expect(openRecording(join(directory, 'a'))).rejects.toThrow(/not a regular file/);
  });

  it('with a table that is missing are refused by name', async () => {
    const directory = copyOf(NATIVE);
    rmSync(join(directory, 'faults.parquet'));
    await expect(readNative(directory)).rejects.toThrow(/faults\.parquet: no such file/);
    rmSync(join(directory, 'runs.parquet'));
    const recording = await openRecording(directory);
    await expect(recording.snapshot('end')).rejects.toThrow(/runs\.parquet: no such file/);
  });
});
