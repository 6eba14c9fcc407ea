/**
 * Goal: a recording that another thread reads is the same as one that this thread reads: batches,
 * tables, snapshots, errors, and what a replay makes of them. And the thread never outlives its use.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MADE_INFO } from '../../../test/support/made_recording.js';
import { dataPath, temporaryDirectory } from '../../../test/support/trace_events.js';
import { RmapError } from '../../base/errors.js';
import { replay } from '../../replay/replay.js';
import { EventBatchBuilder } from '../batch_builder.js';
import { EVENT } from '../event.js';
import { FieldRegistry } from '../field_registry.js';
import { RecordingWriter } from '../native/native_writer.js';
import { openRecording } from '../open.js';
import type { Recording } from '../recording.js';
import { StringTable, WordTable } from '../tables.js';
import { errorFromMessage, errorToMessage, type FromReader } from './messages.js';
import { beginReading, openInThread } from './reader_thread.js';
import { withRecording } from './with_recording.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const PATIENCE_MS = 120_000;

const NATIVE = [join(ROOT, 'examples'), dataPath('recordings')]
  .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
  .filter((path) => existsSync(join(path, 'manifest.json')));

function threaded<T>(path: string, use: (recording: Recording) => Promise<T>): Promise<T> {
  return withRecording(path, use, openInThread(path));
}

/** An object with its columns as their type, length and hash: millions of cells compare slowly. */
function summary(object: object): unknown {
  const entries = Object.entries(object).map(([name, value]: [string, unknown]) => {
    if (!ArrayBuffer.isView(value)) return [name, value];
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    const hash = createHash('sha256').update(bytes).digest('hex');
    return [name, `${value.constructor.name} ${value.byteLength} ${hash}`];
  });
  return Object.fromEntries(entries) as unknown;
}

/** All that a recording holds. */
interface Content {
  readonly info: unknown;
  readonly fields: unknown;
  readonly layouts: readonly unknown[];
  readonly batches: readonly unknown[];
  readonly strings: readonly string[];
  readonly words: readonly bigint[];
  readonly snapshots: readonly unknown[];
}

async function contentOf(recording: Recording, batchLength = 65_536): Promise<Content> {
  const { info, fields, strings, words } = recording;
  const layouts: unknown[] = [];
  for (const { name } of info.snapshots) layouts.push(await recording.layout?.(name));
  const batches: unknown[] = [];
  for await (const batch of recording.events({ batchLength })) {
    batches.push(summary(batch));
    // Whoever has a batch can look its rows up.
    for (const text of new Set(batch.text)) expect(text).toBeLessThan(strings.size);
  }
  const snapshots: unknown[] = [];
  for (const { name } of info.snapshots) {
    const snapshot = await recording.snapshot(name);
    snapshots.push({ ...snapshot, runs: summary(snapshot.runs) });
  }
  return {
    info,
    fields: Object.fromEntries(fields),
    layouts,
    batches,
    strings: strings.all(),
    words: words.all(),
    snapshots,
  };
}

/** What a reading ends with: its content, or the code and message of its error. */
async function outcome(read: () => Promise<unknown>): Promise<unknown> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof RmapError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

const WORDS = [0n, 1n, 4096n, 2n ** 52n, 2n ** 63n, 0xffff888100000123n, 2n ** 64n - 5000n];
const anyEvent = fc.record({
  kind: fc.constantFrom(EVENT.faultUser, EVENT.faultKernel, EVENT.lock, EVENT.mark),
  text: fc.constantFrom('', 'mmap', 'é\n', 'SNAP end', 'x'.repeat(300)),
  a: fc.constantFrom(...WORDS),
  c: fc.bigInt(2n ** 63n, 2n ** 64n - 1n),
});

describe('a recording that another thread reads', () => {
  for (const path of NATIVE) {
    it(`${path.slice(ROOT.length)} is the same`, { timeout: PATIENCE_MS }, async () => {
      const direct = await contentOf(await openRecording(path));
      expect(direct.batches.length).toBeGreaterThan(0);
      const other = await threaded(path, (recording) => contentOf(recording));
      expect(other).toEqual(direct);
    });
  }

  it('is the same for any events and length of batches', { timeout: PATIENCE_MS }, async () => {
    const lengths = fc.integer({ min: 1, max: 40 });
    const property = fc.asyncProperty(fc.array(anyEvent), lengths, async (list, batchLength) => {
      const [strings, words, fields] = [new StringTable(), new WordTable(), new FieldRegistry()];
      const path = join(temporaryDirectory(), 'made');
      const writer = new RecordingWriter(path, { strings, words, fields: fields.all });
      const builder = new EventBatchBuilder(200);
      for (const [i, { kind, text, a, c }] of list.entries()) {
        const row = text === '' ? -1 : strings.intern(text);
        const [first, third] = kind === EVENT.mark ? [0, 0] : [words.cellOf(a), words.cellOf(c)];
        builder.push(kind, i, 0, 7, row, first, 0, kind === EVENT.lock ? 0 : third);
      }
      writer.writeEvents(builder.take());
      writer.finish(MADE_INFO);
      const direct = await outcome(async () => contentOf(await openRecording(path), batchLength));
      const other = await outcome(() => threaded(path, (made) => contentOf(made, batchLength)));
      expect(other).toEqual(direct);
    });
    await fc.assert(property, { seed: 42, numRuns: 40 });
  });

  it('gives the same replay', { timeout: PATIENCE_MS }, async () => {
    for (const name of ['examples/redis', 'test/data/recordings/orphans']) {
      const path = join(ROOT, name);
      const direct = await replay(await openRecording(path));
      const other = await threaded(path, (recording) => replay(recording));
      expect(other.driver.machine.fingerprint()).toBe(direct.driver.machine.fingerprint());
      expect(other.snapshots).toEqual(direct.snapshots);
      expect(other.findings).toEqual(direct.findings);
    }
  });

  it('has the same errors when files are damaged', { timeout: PATIENCE_MS }, async () => {
    const path = join(temporaryDirectory(), 'join');
    cpSync(dataPath('recordings/join'), path, { recursive: true });
    const damages = fc.record({
      at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      bit: fc.nat(7),
      cuts: fc.boolean(),
    });
    const errors = new Set<unknown>();
    for (const file of readdirSync(path)) {
      const stored = readFileSync(join(path, file));
      for (const { at, bit, cuts } of fc.sample(damages, { seed: 42, numRuns: 6 })) {
        const place = Math.floor(at * stored.length);
        const damaged = Buffer.from(cuts ? stored.subarray(0, place) : stored);
        if (!cuts) damaged[place] = (damaged[place] ?? 0) ^ (1 << bit);
        writeFileSync(join(path, file), damaged);
        const replayed = async (recording: Recording): Promise<string> =>
          (await replay(recording, { memoryPages: 65_536 })).driver.machine.fingerprint();
        const direct = await outcome(async () => replayed(await openRecording(path)));
        expect(await outcome(() => threaded(path, replayed))).toEqual(direct);
        errors.add(direct);
      }
      writeFileSync(join(path, file), stored);
    }
    expect(errors.size).toBeGreaterThan(20);
  });

  it('stays readable when the thread was given back', async () => {
    const path = dataPath('recordings/stress');
    const content = await contentOf(await openRecording(path));
    const late = await threaded(path, async (recording) => {
      for await (const batch of recording.events()) {
        expect(batch.firstIndex).toBe(0);
        break;
      }
      return recording;
    });
    const { batches, layouts, snapshots } = await contentOf(late);
    expect({ batches, layouts, snapshots }).toEqual({
      batches: content.batches,
      layouts: content.layouts,
      snapshots: content.snapshots,
    });
  });
});

describe('the reader thread', () => {
  const redis = join(ROOT, 'examples/redis');

  it('is there for long native recordings only', () => {
    for (const path of [dataPath('recordings/join'), dataPath('recordings/raw-pages'), '/none']) {
      expect([path, beginReading(path)]).toEqual([path, undefined]);
    }
    const opening = beginReading(redis);
    expect(opening?.path).toBe(redis);
    opening?.thread.release();
  });

  it('reads the next recording, and ends when there is none', { timeout: 30_000 }, async () => {
    const first = openInThread(redis);
    await withRecording(redis, (recording) => recording.events().next(), first);
    const second = openInThread(redis);
    expect(second.thread).toBe(first.thread);
    const third = openInThread(redis);
    expect(third.thread).not.toBe(first.thread);
    const ends = [second, third].map(({ thread }) => once(thread.worker, 'exit'));
    const ended = withRecording(
      redis,
      (recording) => replay(recording, { until: 'loaded' }),
      second,
    );
    expect((await ended).events).toBeLessThan(201_821);
    await withRecording(redis, (recording) => recording.snapshot('after'), third);
    await Promise.all(ends);
    expect(openInThread(redis).thread).not.toBe(first.thread);
  });

  it('does not read far ahead', { timeout: PATIENCE_MS }, async () => {
    const opening = openInThread(redis);
    await withRecording(
      redis,
      async (recording) => {
        let batchCount = 0;
        opening.thread.worker.on('message', ({ answer }: FromReader) => {
          if (answer !== undefined && 'batch' in answer) batchCount += 1;
        });
        const batches = recording.events({ batchLength: 1000 });
        await batches.next();
        // The reader has time for a batch behind each of these.
        for (const { name } of recording.info.snapshots) {
          await recording.layout?.(name);
          await recording.snapshot(name);
        }
        expect(batchCount).toBe(4);
        await batches.return?.();
      },
      opening,
    );
  });

  it('tells of its end whoever waits', async () => {
    const opening = openInThread(redis);
    const reading = withRecording(
      redis,
      async (recording) => {
        const waiting = recording.snapshot('after');
        await opening.thread.worker.terminate();
        await waiting;
      },
      opening,
    );
    await expect(reading).rejects.toThrow('the reader thread ended');
  });

  it('lets the process end', { timeout: 60_000 }, async () => {
    const index = join(ROOT, 'dist/fast/index.js');
    const thread = join(ROOT, 'dist/fast/trace/threaded/reader_thread.js');
    const script = `
      const { replayPath } = await import(${JSON.stringify(index)});
      const { openInThread } = await import(${JSON.stringify(thread)});
      const { events } = await replayPath(${JSON.stringify(redis)}, { until: 'loaded' });
      openInThread(${JSON.stringify(redis)});
      console.log(events < 201821, performance.now());
      process.on('exit', () => console.log(performance.now()));`;
    const options = { timeout: 30_000 };
    const run = promisify(execFile)(process.execPath, ['-e', script], options);
    const [isEarly, atMs, endMs] = (await run).stdout.split(/\s+/);
    expect(isEarly).toBe('true');
    // It waits neither for the idle thread nor for the recording that nobody reads.
    expect(Number(endMs) - Number(atMs)).toBeLessThan(1500);
  });

  it('keeps the class of errors, and the stack of bugs', () => {
    const input = new RmapError('input', 'x: bad');
    const sent = errorFromMessage(structuredClone(errorToMessage(input)));
    expect(sent).toBeInstanceOf(RmapError);
    expect(sent).toMatchObject({ code: 'input', message: 'x: bad', stack: input.stack });
    const bug = new TypeError('x is undefined');
    const sentBug = errorFromMessage(structuredClone(errorToMessage(bug)));
    expect(sentBug).toMatchObject({ message: 'x is undefined', stack: bug.stack });
  });
});
