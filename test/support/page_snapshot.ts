import { RUN, type Snapshot } from '../../src/trace/snapshot.js';
import { SnapshotBuilder } from '../../src/trace/snapshot_builder.js';

/** One anonymous page that a snapshot lists. */
export type PageRow = readonly [pid: number, page: number, pfn: number, mapcount: number];

/** A snapshot of processes with pages 16 … 31 mapped and one run for each row. */
export function pageSnapshot(pids: readonly number[], rows: readonly PageRow[]): Snapshot {
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
  return builder.finish('s', '');
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
