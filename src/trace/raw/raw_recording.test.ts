import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  dataPath,
  describeEvents,
  temporaryDirectory,
} from '../../../test/support/trace_events.js';
import { openJsonlRecording } from '../jsonl/jsonl_recording.js';
import { openRawRecording } from './raw_recording.js';

const SAMPLE = dataPath('recordings/raw-pages');

/** A copy of the sample whose gzip'd files can be edited. */
function copySample(edit: Readonly<Record<string, (bytes: Buffer) => Buffer>>): string {
  const directory = join(temporaryDirectory(), 'raw');
  cpSync(SAMPLE, directory, { recursive: true });
  for (const [file, change] of Object.entries(edit)) {
    const path = join(directory, file);
    writeFileSync(path, gzipSync(change(gunzipSync(readFileSync(path)))));
  }
  return directory;
}

describe('raw ring-buffer pages', () => {
  it('give the events of the JSON lines', async () => {
    const expected = await describeEvents(await openJsonlRecording(SAMPLE));
    const found = await describeEvents(await openRawRecording(SAMPLE));
    expect(expected.length).toBe(7261);
    expect(found).toEqual(expected);
  });

  it('give the same events for every length of batches, and again', async () => {
    const recording = await openRawRecording(SAMPLE);
    const whole = await describeEvents(recording);
    expect(await describeEvents(recording, { batchLength: 7 })).toEqual(whole);
    expect(await describeEvents(recording, { batchLength: 2 })).toEqual(whole);
  });

  it('show lost events in their place', async () => {
    const directory = copySample({
      'cpu1.raw.gz': (bytes) => {
        // Page 3 says that an unknown number of events is missing before it.
        bytes.writeUInt32LE((bytes.readUInt32LE(3 * 4096 + 8) | 0x80000000) >>> 0, 3 * 4096 + 8);
        return bytes;
      },
    });
    const whole = await describeEvents(await openRawRecording(SAMPLE));
    for (const batchLength of [1, 2, 1000]) {
      const recording = await openRawRecording(directory);
      const found = await describeEvents(recording, { batchLength });
      const lost = found.filter((line) => line.startsWith('lost '));
      expect(lost).toHaveLength(1);
      expect(lost[0]).toMatch(/^lost \d+ 1 0 - -1$/);
      expect(found.filter((line) => !line.startsWith('lost '))).toEqual(whole);
    }
  });

  it.each<[string, Readonly<Record<string, (bytes: Buffer) => Buffer>>, RegExp]>([
    [
      'an event type without format',
      {
        'cpu0.raw.gz': (bytes) => {
          bytes.writeUInt16LE(60_000, 20);
          return bytes;
        },
      },
      /cpu0\.raw\.gz offset 20: event type 60000 is in no format file/,
    ],
    [
      'an event that is too short for its format',
      {
        'formats.json.gz': (bytes) =>
          Buffer.from(
            bytes
              .toString('utf8')
              .replaceAll(
                'size:8;\\tsigned:0;\\n\\n',
                'size:8;\\tsigned:0;\\n\\tfield:int far;\\toffset:900;\\tsize:4;\\n\\n',
              ),
          ),
      },
      /cpu\d\.raw\.gz offset \d+: event type \d+ is too short/,
    ],
    [
      'a cut-off page',
      { 'cpu0.raw.gz': (bytes) => bytes.subarray(0, 5000) },
      /offset 4096: the file ends/,
    ],
    [
      'no formats',
      { 'formats.json.gz': () => Buffer.from('{}') },
      /formats\.json\.gz: header_page: /,
    ],
    [
      'a broken format',
      {
        'formats.json.gz': (bytes) =>
          Buffer.from(
            bytes.toString('utf8').replace('field:unsigned long address', 'field:long x'),
          ),
      },
      /formats\.json\.gz: format of exceptions:page_fault_\w+: no field address/,
    ],
  ])('are refused with %s', async (_what, edit, message) => {
    const open = async () => describeEvents(await openRawRecording(copySample(edit)));
    await expect(open()).rejects.toThrow(message);
    await expect(open()).rejects.toMatchObject({ code: 'input' });
  });
});
