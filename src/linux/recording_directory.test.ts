import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RecordingDirectory } from './recording_directory.js';

let root = '';
let path = '';

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'rmap-directory-'));
  path = join(root, 'x.rec');
});

afterEach(() => rmSync(root, { recursive: true }));

test('keeps everything to its owner', async () => {
  const directory = RecordingDirectory.create(path, false);
  directory.createStream('cpu0.raw.gz');
  await directory.writeFile('formats.json', new Uint8Array(3));
  await directory.writeManifest('{}');
  directory.close();
  expect(statSync(path).mode & 0o777).toBe(0o700);
  const modes = readdirSync(path).map((name) => statSync(join(path, name)).mode & 0o777);
  expect(modes).toEqual([0o600, 0o600, 0o600]);
});

test('a stream is valid gzip from the start and after each member', async () => {
  const directory = RecordingDirectory.create(path, false);
  directory.createStream('cpu0.raw.gz');
  const text = (): string => gunzipSync(readFileSync(join(path, 'cpu0.raw.gz'))).toString();
  expect(text()).toBe('');
  void directory.append('cpu0.raw.gz', Buffer.from('first '));
  void directory.append('cpu0.raw.gz', Buffer.from('second'));
  await directory.settled();
  expect(text()).toBe('first second');
  directory.close();
});

test('replaces recordings only, and only if asked', () => {
  RecordingDirectory.create(path, false).close();
  expect(() => RecordingDirectory.create(path, false)).toThrow('use -f');
  RecordingDirectory.create(path, true).close();
  const other = join(root, 'other');
  mkdirSync(other);
  writeFileSync(join(other, 'letter.txt'), 'dear');
  expect(() => RecordingDirectory.create(other, true)).toThrow('is no recording');
  expect(readFileSync(join(other, 'letter.txt'), 'utf8')).toBe('dear');
});

test('does not write through links that were planted', async () => {
  const directory = RecordingDirectory.create(path, false);
  const victim = join(root, 'victim');
  writeFileSync(victim, 'precious');
  symlinkSync(victim, join(path, 'snap-t1.jsonl.gz'));
  const writing = directory.writeFile('snap-t1.jsonl.gz', Buffer.from('x'));
  await expect(writing).rejects.toThrow('EEXIST');
  expect(readFileSync(victim, 'utf8')).toBe('precious');
  directory.close();
});

test('leaves nothing if the recording never began', () => {
  const directory = RecordingDirectory.create(path, false);
  directory.createStream('cpu0.raw.gz');
  directory.discard();
  expect(readdirSync(root)).toEqual([]);
});
