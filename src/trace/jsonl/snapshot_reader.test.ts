import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../test/support/trace_events.js';
import type { Snapshot } from '../snapshot.js';
import { RUN } from '../snapshot.js';
import { readSnapshot, readSnapshotInfo } from './snapshot_reader.js';

const HEAD = { k: 'snap', name: 's', time: 't', pids: 1, anon: 3, file: 2, zero: 1, swap: 1 };
const PROC = { k: 'proc', pid: 5, ppid: 1, comm: 'x', tids: [5, 6], start_stack: '4096' };
const VMA = {
  k: 'vma',
  pid: 5,
  s: '10000',
  e: '20000',
  p: 'rw-p',
  off: '0000',
  dev: '00:00',
  ino: 0,
  rss: 4,
  pss: 4,
  anon: 4,
  vf: 'rd wr',
  runs: [
    ['10', 2, 'A', '1a', 1, 1],
    ['13', 1, 'K', 'ff', 3, 0],
    ['14', 1, 'Z', '2', 9, 0],
    ['18', 2, 'F'],
    ['1f', 1, 'swap'],
  ],
};

function write(...lines: unknown[]): string {
  const path = join(temporaryDirectory(), 'snap-s.jsonl');
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return path;
}

function read(...lines: unknown[]): Promise<Snapshot> {
  return readSnapshot(write(...lines));
}

describe('snapshots as JSON lines', () => {
  it('become columns of runs, with totals', async () => {
    const { runs, vmas, procs, ...info } = await read(HEAD, PROC, VMA);
    expect(info).toEqual({
      name: 's',
      time: 't',
      processes: 1,
      anonPages: 3,
      filePages: 2,
      zeroPages: 1,
      swapPages: 1,
    });
    expect(procs).toMatchObject([{ pid: 5, tids: [5, 6], stackStart: 4096, brkStart: 0 }]);
    expect(vmas).toMatchObject([{ startPage: 16, endPage: 32, name: '', runStart: 0, runEnd: 5 }]);
    expect([...runs.page]).toEqual([0x10, 0x13, 0x14, 0x18, 0x1f]);
    expect([...runs.kind]).toEqual([RUN.anon, RUN.ksm, RUN.zero, RUN.file, RUN.swap]);
    expect([...runs.pfn]).toEqual([0x1a, 0xff, 2, -1, -1]);
    expect([...runs.mapcount]).toEqual([1, 3, 9, 0, 0]);
    expect([...runs.exclusive]).toEqual([1, 0, 0, 0, 0]);
  });

  it('have their totals in the first line', async () => {
    expect(await readSnapshotInfo(write(HEAD))).toMatchObject({ name: 's', anonPages: 3 });
  });

  it.each<[string, unknown[], RegExp]>([
    ['an empty file', [], /empty file, expected a snapshot/],
    ['another first line', [PROC], /snap-s.jsonl:1: k:/],
    ['an unknown kind', [HEAD, { k: 'x' }], /:2: line of kind "x"/],
    ['a VMA of an unknown process', [HEAD, VMA], /:2: VMA of process 5, which is not listed/],
    ['a process twice', [HEAD, PROC, PROC], /:3: process 5 is listed twice/],
    ['a VMA that ends before it starts', [HEAD, PROC, { ...VMA, e: '10000' }], /has no length/],
    [
      'a negative count',
      [HEAD, PROC, { ...VMA, runs: [['10', -1, 'F']] }],
      /:3: expected a number of pages from 0 to/,
    ],
    [
      'a huge count',
      [HEAD, PROC, { ...VMA, runs: [['10', 1e12, 'F']] }],
      /expected a number of pages/,
    ],
    ['a run outside', [HEAD, PROC, { ...VMA, runs: [['20', 1, 'F']] }], /outside of its VMA/],
    [
      'runs that overlap',
      [
        HEAD,
        PROC,
        {
          ...VMA,
          runs: [
            ['10', 4, 'F'],
            ['11', 1, 'F'],
          ],
        },
      ],
      /outside of its VMA or before the last run/,
    ],
    ['an unknown run', [HEAD, PROC, { ...VMA, runs: [['10', 1, 'Q']] }], /unknown type "Q"/],
    [
      'a run without pfn',
      [HEAD, PROC, { ...VMA, runs: [['10', 1, 'A']] }],
      /expected "," and a pfn but found/,
    ],
    ['an empty run', [HEAD, PROC, { ...VMA, runs: [['10', 0, 'F']] }], /has 0 pages/],
    ['runs before another key', [HEAD, PROC, { ...VMA, z: 1 }], /runs, which are the last key/],
    ['VMAs that overlap', [HEAD, PROC, VMA, VMA], /:4: VMA at page 0x10 .* not behind/],
    ['a missing line', [HEAD, PROC], /the head says 3 anonymous pages, the lines below have 0/],
    ['a wrong type', [HEAD, { ...PROC, pid: 'x' }], /:2: proc: pid: /],
  ])('refuse %s', async (_what, lines, message) => {
    await expect(read(...lines)).rejects.toThrow(message);
    await expect(read(...lines)).rejects.toMatchObject({ code: 'input' });
  });

  it('refuse a line that is cut off', async () => {
    const path = write(HEAD, PROC);
    writeFileSync(path, `${JSON.stringify(HEAD)}\n${JSON.stringify(PROC).slice(0, 30)}`);
    await expect(readSnapshot(path)).rejects.toThrow(/snap-s.jsonl:2: /);
  });
});
