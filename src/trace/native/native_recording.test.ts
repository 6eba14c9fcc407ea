import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MADE_INFO } from '../../../test/support/made_recording.js';
import {
  dataPath,
  describeEvents,
  temporaryDirectory,
} from '../../../test/support/trace_events.js';
import { EventBatchBuilder } from '../batch_builder.js';
import { EVENT, wordRow } from '../event.js';
import { FieldRegistry } from '../field_registry.js';
import { openRecording } from '../open.js';
import type { Recording } from '../recording.js';
import { StringTable, WordTable } from '../tables.js';
import type { WriterInfo } from './native_writer.js';
import { RecordingWriter, convertRecording } from './native_writer.js';

const SAMPLE = dataPath('recordings/raw-pages');
const NATIVE = dataPath('recordings/bash-fork');

const INFO: WriterInfo = { ...MADE_INFO, settings: { vm: { swappiness: '60' } } };

/** Snapshot as JSON, with typed arrays as arrays. */
async function snapshotText(recording: Recording, name: string): Promise<string> {
  return JSON.stringify(await recording.snapshot(name), (_key, value: unknown) =>
    ArrayBuffer.isView(value) ? [...(value as Uint8Array)] : value,
  );
}

function copyOfNative(): string {
  const directory = join(temporaryDirectory(), 'copy');
  cpSync(NATIVE, directory, { recursive: true });
  for (const file of readdirSync(directory)) chmodSync(join(directory, file), 0o600);
  return directory;
}

describe('the native format', () => {
  it('keeps every event, whatever the length of batches', async () => {
    const source = await openRecording(SAMPLE);
    const target = join(temporaryDirectory(), 'out');
    const written = await convertRecording(source, target);
    expect(written).toMatchObject({ events: 7261, snapshots: 0, lostEvents: 0 });
    const expected = await describeEvents(source);
    const recording = await openRecording(target);
    expect(recording.format).toBe('native');
    expect(await describeEvents(recording)).toEqual(expected);
    expect(await describeEvents(recording, { batchLength: 100 })).toEqual(expected);
    expect(recording.info).toMatchObject({
      ...source.info,
      events: 7261,
      durationNs: recording.info.durationNs,
    });
  });

  it('keeps snapshots, in the order of their marks', async () => {
    const source = await openRecording(NATIVE);
    const target = join(temporaryDirectory(), 'out');
    await convertRecording(source, target);
    const recording = await openRecording(target);
    expect(recording.info.snapshots).toEqual(source.info.snapshots);
    expect(await snapshotText(recording, 'end')).toBe(await snapshotText(source, 'end'));
    await expect(recording.snapshot('none')).rejects.toThrow(/no snapshot with the name "none"/);
    const stress = await openRecording(dataPath('recordings/stress'));
    const names = stress.info.snapshots.map(({ name }) => name);
    expect(names.slice(0, 4)).toEqual(['basic', 'populate', 'fork3', 'afterfork']);
  });

  it('keeps words of 64 bits, texts of fields and all kinds over several row groups', async () => {
    const [strings, words, fields] = [new StringTable(), new WordTable(), new FieldRegistry()];
    const target = join(temporaryDirectory(), 'out');
    const writer = new RecordingWriter(target, { strings, words, fields: fields.all });
    const builder = new EventBatchBuilder(200_000);
    fields.cell('ev', 'path', 'text');
    fields.cell('ev', 'mm', 'word');
    fields.cell('ev', 'name', 'text');
    const kernel = words.cellOf(0xffff888100000123n);
    for (let i = 0; i < 9000; i += 1) {
      const time = i * 20;
      builder.push(EVENT.faultUser, time, 1, 7, -1, 2 ** 47 - 1, 6, 2 ** 40 + i);
      builder.push(EVENT.faultKernel, time, 1, 7, -1, words.cellOf(2n ** 63n), 2, kernel);
      builder.push(EVENT.callEnter, time, 1, 7, strings.intern('mmap'), 0, 4096, 3, 34, -1, i);
      builder.push(EVENT.callExit, time, 1, 7, strings.intern('mmap'), -12);
      builder.push(EVENT.lock, time, 1, 7, -1, kernel);
      builder.push(EVENT.exitMm, time, 1, 7, -1, kernel);
      builder.push(EVENT.rss, time, 1, 7, -1, 0xffffffff, 1, 1, 2 ** 40);
      builder.push(EVENT.pageAlloc, time, 1, 7, -1, 2 ** 36, 9, 0x3d24ca);
      builder.push(EVENT.pageFree, time, 1, 7, -1, 2 ** 36, 9);
      builder.push(EVENT.lost, time, 3, 0, -1, 5);
      const cells = [strings.intern(`p${i % 3}`), kernel, strings.intern('é"\n')] as const;
      builder.push(EVENT.other, time, 1, 7, strings.intern('ev'), ...cells);
      builder.push(EVENT.mapped, time, 1, 7, strings.intern('[heap]'), 4096, 8192, 3, 1, 0, 7);
      builder.push(EVENT.exit, time, 1, 7, strings.intern('x'), 7, -1);
    }
    const batch = builder.take();
    writer.writeEvents(batch);
    expect(writer.finish(INFO)).toMatchObject({ events: 117_000, lostEvents: 45_000 });
    const source = {
      strings,
      words,
      async *events() {
        yield batch;
      },
    };
    const expected = await describeEvents(source as unknown as Recording);
    const recording = await openRecording(target);
    const found = await describeEvents(recording, { batchLength: 50_000 });
    // Cells of text fields are rows of a string table: compare what they say.
    const fieldLine = /^other .*$/;
    expect(found.filter((line) => !fieldLine.test(line))).toEqual(
      expected.filter((line) => !fieldLine.test(line)),
    );
    const texts: string[] = [];
    for await (const { length, kind, a, b, c } of recording.events()) {
      for (let row = 0; row < length; row += 1) {
        if (kind[row] !== EVENT.other) continue;
        const mm = recording.words.word(wordRow(b[row] ?? 0)).toString(16);
        const [path, name] = [a[row] ?? -1, c[row] ?? -1].map((cell) =>
          recording.strings.text(cell),
        );
        texts.push(`${path} ${mm} ${name}`);
      }
    }
    expect(texts).toEqual(
      Array.from({ length: 9000 }, (_, i) => `p${i % 3} ffff888100000123 é"\n`),
    );
    expect(recording.info).toMatchObject({ lostEvents: 45_000, settings: INFO.settings });
    expect(recording.fields.get('ev')).toEqual(fields.all.get('ev'));
  });

  it('is readable by its owner only', async () => {
    const target = join(temporaryDirectory(), 'out');
    await convertRecording(await openRecording(SAMPLE), target);
    expect(statSync(target).mode & 0o777).toBe(0o700);
    for (const file of readdirSync(target)) {
      expect([file, statSync(join(target, file)).mode & 0o777]).toEqual([file, 0o600]);
    }
  });

  it('is not overwritten without force, and nothing else ever is', async () => {
    const source = await openRecording(SAMPLE);
    const directory = temporaryDirectory();
    const target = join(directory, 'out');
    await convertRecording(source, target);
    await expect(convertRecording(source, target)).rejects.toMatchObject({ code: 'usage' });
    await convertRecording(source, target, { isForced: true });
    const other = join(directory, 'home');
    mkdirSync(other);
    writeFileSync(join(other, 'thesis.txt'), 'x');
    const attempt = convertRecording(source, other, { isForced: true });
    await expect(attempt).rejects.toThrow(/is not a recording and is not replaced/);
    expect(readFileSync(join(other, 'thesis.txt'), 'utf8')).toBe('x');
    expect(readdirSync(directory).sort()).toEqual(['home', 'out']);
  });

  it('leaves nothing behind when the source breaks', async () => {
    const source = await openRecording(SAMPLE);
    const broken: Recording = {
      ...source,
      path: source.path,
      info: source.info,
      fields: source.fields,
      strings: source.strings,
      words: source.words,
      format: 'jsonl',
      async *events() {
        yield* source.events({ batchLength: 1000 });
        throw new Error('broken');
      },
      snapshot: (name) => source.snapshot(name),
      positionOf: String,
    };
    const directory = temporaryDirectory();
    const target = join(directory, 'out');
    await expect(convertRecording(broken, target)).rejects.toThrow('broken');
    expect(existsSync(target)).toBe(false);
    expect(readdirSync(directory)).toEqual([]);
  });

  it.each<[string, (directory: string) => void, RegExp]>([
    [
      'a newer version',
      (directory) => editManifest(directory, { formatVersion: 7 }),
      /written in format version 7, this program reads up to 1/,
    ],
    [
      'another manifest',
      (directory) => writeFileSync(join(directory, 'manifest.json'), '{"name":"x"}'),
      /not the manifest of a recording/,
    ],
    [
      'a manifest that is no JSON',
      (directory) => truncateSync(join(directory, 'manifest.json'), 100),
      /manifest\.json: malformed JSON/,
    ],
    [
      'a wrong number of events',
      (directory) => editManifest(directory, { events: 5 }),
      /62480 events, the manifest says 5/,
    ],
    [
      'a negative number of events',
      (directory) => editManifest(directory, { events: -5 }),
      /manifest\.json: events: /,
    ],
    [
      'a truncated table',
      (directory) => truncateSync(join(directory, 'faults.parquet'), 5000),
      /faults\.parquet/,
    ],
    [
      'an empty table',
      (directory) => truncateSync(join(directory, 'faults.parquet'), 0),
      /faults\.parquet: too short for a Parquet file/,
    ],
    [
      'the table of another kind',
      (directory) => cpSync(join(directory, 'pages.parquet'), join(directory, 'faults.parquet')),
      /faults\.parquet: expected column kernel of type BOOLEAN/,
    ],
    [
      'a table that is missing',
      (directory) => {
        const path = join(directory, 'manifest.json');
        const manifest = JSON.parse(readFileSync(path, 'utf8')) as { tables: { name: string }[] };
        manifest.tables = manifest.tables.filter(({ name }) => name !== 'tasks');
        writeFileSync(path, JSON.stringify(manifest));
      },
      /62343 events, the manifest says 62480/,
    ],
    [
      'an unknown precision',
      (directory) => editManifest(directory, { precision: 'perfect' }),
      /manifest\.json: precision: /,
    ],
  ])('refuses %s', async (_what, damage, message) => {
    const directory = copyOfNative();
    damage(directory);
    const read = async () => describeEvents(await openRecording(directory));
    await expect(read()).rejects.toThrow(message);
    await expect(read()).rejects.toMatchObject({ code: 'input' });
  });

  it('refuses snapshots that are not what the manifest says', async () => {
    const directory = copyOfNative();
    const path = join(directory, 'manifest.json');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace(/"runs": \[\s*0,\s*1382\s*\]/, '"runs":[0,1000]'));
    const read = async () => (await openRecording(directory)).snapshot('end');
    await expect(read()).rejects.toMatchObject({ code: 'input' });
    writeFileSync(path, text.replace(/"runs": \[\s*0,\s*1382\s*\]/, '"runs":[0,9999]'));
    await expect(read()).rejects.toThrow(/runs\.parquet: rows 0 to 9999 of 1382/);
  });
});

function editManifest(directory: string, fields: object): void {
  const path = join(directory, 'manifest.json');
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as object;
  writeFileSync(path, JSON.stringify({ ...manifest, ...fields }));
}
