import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../test/support/trace_events.js';
import { CpuStream } from './cpu_stream.js';

const PAGE_BYTES = 4096;

/** A page with a time stamp and records; `flags` go to the upper bits of its length. */
function page(
  stampNs: number,
  records: readonly Buffer[],
  flags = 0,
  tail = Buffer.alloc(0),
): Buffer {
  const data = Buffer.concat(records);
  const bytes = Buffer.alloc(PAGE_BYTES);
  bytes.writeBigUInt64LE(BigInt(stampNs), 0);
  bytes.writeUInt32LE((data.length | flags) >>> 0, 8);
  data.copy(bytes, 16);
  tail.copy(bytes, 16 + data.length);
  return bytes;
}

function record(type: number, delta: number, ...words: number[]): Buffer {
  const bytes = Buffer.alloc(4 + words.length * 4);
  bytes.writeUInt32LE(((delta << 5) | type) >>> 0, 0);
  for (const [i, word] of words.entries()) bytes.writeUInt32LE(word, 4 + i * 4);
  return bytes;
}

/** A short event of two words of payload. */
function event(delta: number, type = 7, tid = 3): Buffer {
  return record(2, delta, type, tid);
}

async function read(...pages: Buffer[]): Promise<Array<[timeNs: number, lost: number]>> {
  const path = join(temporaryDirectory(), 'cpu0.raw');
  writeFileSync(path, Buffer.concat(pages));
  const stream = new CpuStream(path, 0, PAGE_BYTES);
  stream.epoch = 1000n;
  const events: Array<[number, number]> = [];
  while (await stream.fill()) {
    while (stream.advance()) events.push([stream.timeNs, stream.lostBefore]);
  }
  return events;
}

describe('pages of one CPU', () => {
  it('hold events at times since their stamp', async () => {
    const pages = [page(1000, [event(0), event(5)]), page(1100, [event(1)])];
    expect(await read(...pages)).toEqual([
      [0, 0],
      [5, 0],
      [101, 0],
    ]);
  });

  it('extend and set the time, and skip padding', async () => {
    const records = [
      event(1),
      record(30, 2, 3),
      event(0),
      record(31, 1001, 4),
      event(0),
      record(29, 7, 8, 0),
      event(0),
    ];
    const extended = 1 + 2 + 3 * 2 ** 27;
    const stamped = 4 * 2 ** 27 + 1001 - 1000;
    expect(await read(page(1000, records))).toEqual([
      [1, 0],
      [extended, 0],
      [stamped, 0],
      [stamped + 7, 0],
    ]);
  });

  it('end at padding without length', async () => {
    expect(await read(page(1000, [event(1), record(29, 0), event(1)]))).toEqual([[1, 0]]);
  });

  it('read long events, whose length stands behind the header', async () => {
    const long = record(0, 3, 4 + 12, 7, 3, 9);
    expect(await read(page(1000, [long, event(1)]))).toEqual([
      [3, 0],
      [4, 0],
    ]);
  });

  it('tell how many events were lost before them', async () => {
    const count = Buffer.alloc(8);
    count.writeBigUInt64LE(25_642n);
    const pages = [
      page(1000, [event(0)]),
      page(1010, [event(0), event(1)], 0xc0000000, count),
      page(1020, [event(0)], 0x80000000),
    ];
    expect(await read(...pages)).toEqual([
      [0, 0],
      [10, 25_642],
      [11, 0],
      [20, -1],
    ]);
  });

  it('of zeros, where the file was never written, are refused', async () => {
    const hole = Buffer.alloc(PAGE_BYTES);
    const events = page(1100, [event(1)]);
    await expect(read(hole, events)).rejects.toThrow(/offset 0: a page of zeros/);
    await expect(read(page(1000, [event(0)]), hole)).rejects.toThrow(
      /offset 4096: a page of zeros/,
    );
  });

  it('keep a loss before an empty page', async () => {
    const pages = [page(1000, [], 0x80000000), page(1001, [event(0)])];
    expect(await read(...pages)).toEqual([[1, -1]]);
  });

  it.each<[string, Buffer[], RegExp]>([
    ['a page that is too long', [page(1000, [], 5000)], /offset 0: page of 5000 bytes/],
    [
      'an event behind the end',
      [page(1000, [event(0).subarray(0, 8)])],
      /offset 20: event of 8 bytes does not fit/,
    ],
    ['an event without its common fields', [page(1000, [record(1, 0, 7)])], /event of 4 bytes/],
    ['a long event of no length', [page(1000, [record(0, 0, 0, 7, 3)])], /event of -4 bytes/],
    ['a record that is cut off', [page(1000, [record(30, 0)])], /offset 16: a record is cut off/],
    [
      'pages out of order',
      [page(1010, [event(0)]), page(1005, [])],
      /offset 4096: the page is older/,
    ],
    ['a stamp in the past', [page(1000, [event(500), record(31, 1100, 0)])], /time goes backwards/],
    ['half a page', [page(1000, []).subarray(0, 100)], /offset 0: the file ends inside a page/],
  ])('are refused with %s', async (_what, pages, message) => {
    await expect(read(...pages)).rejects.toThrow(message);
    await expect(read(...pages)).rejects.toMatchObject({ code: 'input' });
  });
});
