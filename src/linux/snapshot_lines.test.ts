/**
 * Goal: what is written is what was read of the kernel. Method: pictures made of pagemap entries
 * are encoded, written, and read back with the reader of recordings.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readSnapshot } from '../trace/jsonl/snapshot_reader.js';
import { RUN } from '../trace/snapshot.js';
import type { Snapshot } from '../trace/snapshot.js';
import { FRAME_FLAG } from './page_frames.js';
import { PageRowsBuilder } from './page_rows.js';
import { encodeSnapshot } from './snapshot_lines.js';
import type { SnapshotTotals } from './snapshot_lines.js';
import type { FrozenPicture, FrozenProcess } from './snapshot_reader.js';

const PRESENT = 1n << 63n;
const FILE = 1n << 61n;
const EXCLUSIVE = 1n << 56n;
const SWAPPED = 1n << 62n;

const STAT = '7 (py "x"\n) S 1 7 7 0 -1 0 12 0 3 0 0 0 0 0 20 0 1 0 55 0 0 0 4096 8192 140000';

function processOf(vmas: readonly { name: string; entries: readonly bigint[] }[]): FrozenProcess {
  const builder = new PageRowsBuilder();
  const rowEnds = new Uint32Array(vmas.length);
  const swapEnds = new Uint32Array(vmas.length);
  const list = vmas.map(({ name, entries }, index) => {
    const startVpn = 0x1000 * (index + 1);
    builder.add(new Uint32Array(BigUint64Array.from(entries).buffer), entries.length, startVpn);
    rowEnds[index] = builder.length;
    swapEnds[index] = builder.swapCount;
    return {
      startVpn,
      endVpn: startVpn + entries.length,
      permissions: 'rw-p',
      offsetBytes: 0x2000,
      device: '00:00',
      inode: 0,
      name,
      rssKib: 4 * entries.length,
      pssKib: 4,
      anonKib: 8,
      anonHugeKib: 0,
      shmemHugeKib: 0,
      fileHugeKib: 0,
      ksmKib: 0,
      swapKib: 0,
      flags: 'rd wr mr',
    };
  });
  return {
    pid: 7,
    tids: [7, 8],
    statText: STAT,
    statusText: 'RssAnon:\t 8 kB\n',
    vmas: list,
    rowEnds,
    swapEnds,
    rows: builder.rows(),
    swapVpns: builder.swapVpns(),
  };
}

async function roundTrip(picture: FrozenPicture): Promise<[Snapshot, SnapshotTotals]> {
  const encoding = encodeSnapshot(picture);
  let step = encoding.next();
  while (step.done !== true) step = encoding.next();
  const directory = mkdtempSync(join(tmpdir(), 'rmap-snapshot-'));
  try {
    const path = join(directory, 'snap-x.jsonl');
    writeFileSync(path, Buffer.concat(step.value.pieces));
    return [await readSnapshot(path), step.value.totals];
  } finally {
    rmSync(directory, { recursive: true });
  }
}

interface Run {
  readonly page: number;
  readonly count: number;
  readonly kind: number;
  readonly pfn: number;
  readonly mapcount: number;
  readonly exclusive: number;
}

function runsOf({ runs }: Snapshot): Run[] {
  return Array.from({ length: runs.length }, (_, index) => ({
    page: runs.page[index],
    count: runs.count[index],
    kind: runs.kind[index],
    pfn: runs.pfn[index],
    mapcount: runs.mapcount[index],
    exclusive: runs.exclusive[index],
  }));
}

test('every kind of page comes back, in runs as long as they can be', async () => {
  const anon = [
    PRESENT | EXCLUSIVE | 10n,
    PRESENT | EXCLUSIVE | 11n,
    PRESENT | 12n,
    PRESENT | 13n,
    SWAPPED | (5n << 5n),
    PRESENT | 20n,
    PRESENT | 30n,
    PRESENT | EXCLUSIVE | 40n,
  ];
  const process = processOf([
    { name: '', entries: anon },
    { name: '/bin/x', entries: [PRESENT | FILE | 50n, PRESENT | FILE | 70n, PRESENT | 12n] },
    { name: '[vdso]', entries: [PRESENT | FILE | 90n, PRESENT | 91n] },
  ]);
  const [snapshot, totals] = await roundTrip({
    name: 'x',
    time: '2026-01-01T00:00:00.000Z',
    processes: [process],
    pauseMs: 1,
    frames: {
      pfn: Uint32Array.of(12, 13, 20, 30, 40),
      mapcount: Uint32Array.of(3, 3, 2, 0, 1),
      flags: Uint32Array.of(0, 0, FRAME_FLAG.ksm, FRAME_FLAG.zeroPage, FRAME_FLAG.thp),
    },
  });
  const anonRun = (
    page: number,
    count: number,
    pfn: number,
    mapcount: number,
    exclusive: number,
    kind: number = RUN.anon,
  ): Run => ({ page, count, kind, pfn, mapcount, exclusive });
  const plainRun = (page: number, count: number, kind: number): Run =>
    anonRun(page, count, -1, 0, 0, kind);
  expect(runsOf(snapshot)).toEqual([
    anonRun(0x1000, 2, 10, 1, 1),
    anonRun(0x1002, 2, 12, 3, 0),
    plainRun(0x1004, 1, RUN.swap),
    anonRun(0x1005, 1, 20, 2, 0, RUN.ksm),
    anonRun(0x1006, 1, 30, 0, 0, RUN.zero),
    anonRun(0x1007, 1, 40, 1, 1, RUN.huge),
    plainRun(0x2000, 2, RUN.file),
    anonRun(0x2002, 1, 12, 3, 0),
    plainRun(0x3000, 2, RUN.special),
  ]);
  expect(totals).toEqual({
    name: 'x',
    pids: 1,
    anon_ptes: 7,
    zero_ptes: 1,
    file_ptes: 2,
    swap_ptes: 1,
  });
  expect(snapshot.procs[0]).toMatchObject({
    pid: 7,
    comm: 'py "x"\n',
    tids: [7, 8],
    rssAnonKib: 8,
    minorFaults: 12,
  });
  expect(snapshot.vmas[1]).toMatchObject({ name: '/bin/x', offsetBytes: 0x2000, perms: 'rw-p' });
});

test('names of files are data: quotes and line ends survive', async () => {
  const name = '/srv/a"b\nc</script>\u001b[31m';
  const [snapshot] = await roundTrip({
    name: 'x',
    time: '',
    processes: [processOf([{ name, entries: [PRESENT | EXCLUSIVE | 1n] }])],
    pauseMs: 1,
    frames: { pfn: new Uint32Array(), mapcount: new Uint32Array(), flags: new Uint32Array() },
  });
  expect(snapshot.vmas[0]?.name).toBe(name);
});

test('without privileges only "mapped by nobody else" is written', async () => {
  const entries = [PRESENT | EXCLUSIVE, PRESENT | EXCLUSIVE, PRESENT];
  const [snapshot] = await roundTrip({
    name: 'x',
    time: '',
    processes: [processOf([{ name: '', entries }])],
    pauseMs: 1,
    frames: undefined,
  });
  expect(
    runsOf(snapshot).map(({ count, mapcount, exclusive }) => [count, mapcount, exclusive]),
  ).toEqual([
    [2, 1, 1],
    [1, 0, 0],
  ]);
});
