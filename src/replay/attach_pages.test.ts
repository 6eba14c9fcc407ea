import { describe, expect, it } from 'vitest';
import { RUN } from '../trace/snapshot.js';
import { SnapshotBuilder } from '../trace/snapshot_builder.js';
import { rangesOf } from './attach_lists.js';
import { familiesOf, joinPages } from './attach_pages.js';

type Row = readonly [pid: number, page: number, pfn: number, mapcount: number];

/** A snapshot of processes with pages 16 … 31 mapped and one run for each row. */
function snapshotOf(pids: readonly number[], rows: readonly Row[]): ReturnType<typeof joinPages> {
  const builder = new SnapshotBuilder();
  for (const pid of pids) builder.addProcess(processOf(pid));
  for (const pid of pids) {
    builder.addVma({
      pid,
      startPage: 16,
      endPage: 32,
      perms: 'rw-p',
      offsetBytes: 0,
      device: '00:00',
      inode: 0,
      name: '',
      rssKib: 0,
      pssKib: 0,
      anonKib: 0,
      anonHugeKib: 0,
      ksmKib: 0,
      flags: 'rd wr',
    });
    for (const [owner, page, pfn, mapcount] of rows) {
      if (owner === pid) builder.addRun(page, 1, RUN.anon, pfn, mapcount, mapcount === 1);
    }
  }
  return joinPages(builder.finish('s', ''), pids);
}

function processOf(pid: number): Parameters<SnapshotBuilder['addProcess']>[0] {
  return {
    pid,
    ppid: 1,
    comm: 'x',
    tids: [pid],
    argStart: 0,
    envEnd: 0,
    stackStart: 0,
    brkStart: 0,
    rssAnonKib: 0,
    rssFileKib: 0,
    rssShmemKib: 0,
    swapKib: 0,
    minorFaults: 0,
    majorFaults: 0,
  };
}

describe('pages to attach', () => {
  it('are joined by frame, with the mappings that nobody in the snapshot has', () => {
    const pages = snapshotOf(
      [5, 6],
      [
        [5, 16, 100, 3],
        [5, 17, 101, 1],
        [5, 18, 102, 2],
        [6, 16, 100, 3],
      ],
    );
    expect(pages.own).toEqual([[17], []]);
    expect(pages.shared.map(({ pfn, outside }) => [pfn, outside])).toEqual([
      [100, 1],
      [102, 1],
    ]);
  });

  it('make families of those that share at one address', () => {
    const pages = snapshotOf(
      [5, 6, 7, 8],
      [
        [5, 16, 100, 2],
        [5, 20, 103, 2],
        [6, 16, 100, 2],
        [7, 17, 101, 2],
        [7, 20, 104, 1],
        [8, 17, 101, 2],
        [8, 21, 103, 2],
      ],
    );
    const families = familiesOf(pages);
    expect(families.map(({ members }) => members)).toEqual([
      [0, 1],
      [2, 3],
    ]);
    // Frame 103 is at two addresses: no fork leads there.
    expect(families.map(({ frames }) => frames.map(({ pfn }) => pfn))).toEqual([[100], [101]]);
  });

  it('are written in runs', () => {
    expect([...rangesOf([3, 4, 5, 9, 11, 12])]).toEqual([
      [3, 3],
      [9, 1],
      [11, 2],
    ]);
    expect([...rangesOf([])]).toEqual([]);
  });
});
