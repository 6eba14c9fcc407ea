import { AsciiWriter } from './ascii_writer.js';
import { numberField, parseFields, parseStat } from './proc_text.js';
import type { SmapsEntry } from './proc_text.js';
import type { FrozenPicture, FrozenProcess } from './snapshot_reader.js';
import { FrameTable, RunWriter } from './snapshot_runs.js';
import type { PageCounts } from './snapshot_runs.js';

/** Totals of a snapshot in page-table entries, for the manifest. */
export interface SnapshotTotals {
  readonly name: string;
  readonly pids: number;
  readonly anon_ptes: number;
  readonly zero_ptes: number;
  readonly file_ptes: number;
  readonly swap_ptes: number;
}

function processLine(process: FrozenProcess): object {
  const { pid, tids } = process;
  const stat = parseStat(process.statText, `/proc/${pid}/stat`);
  const status = parseFields(process.statusText);
  return {
    k: 'proc',
    pid,
    ppid: stat.ppid,
    comm: stat.comm,
    threads: tids.length,
    tids,
    argStart: String(stat.argStart),
    envEnd: String(stat.envEnd),
    rssAnonKb: numberField(status, 'RssAnon'),
    rssFileKb: numberField(status, 'RssFile'),
    rssShmemKb: numberField(status, 'RssShmem'),
    vmSwapKb: numberField(status, 'VmSwap'),
    minflt: stat.minorFaults,
    majflt: stat.majorFaults,
    startCode: stat.startCode,
    start_stack: String(stat.stackStart),
    brk0: String(stat.brkStart),
  };
}

/** The line of a mapping, without the closing brace, so that its runs can follow. */
function vmaHead(pid: number, vma: SmapsEntry): string {
  const head = JSON.stringify({
    k: 'vma',
    pid,
    s: `${vma.startVpn.toString(16)}000`,
    e: `${vma.endVpn.toString(16)}000`,
    p: vma.permissions,
    off: vma.offsetBytes.toString(16).padStart(8, '0'),
    dev: vma.device,
    ino: vma.inode,
    name: vma.name,
    rss: vma.rssKib,
    pss: vma.pssKib,
    anon: vma.anonKib,
    ahp: vma.anonHugeKib,
    ksm: vma.ksmKib,
    vf: vma.flags,
  });
  return `${head.slice(0, -1)},"runs":`;
}

/** A snapshot file before compression, with its totals. */
export interface EncodedSnapshot {
  readonly totals: SnapshotTotals;
  /** The `snap` line, then processes and mappings; to be written one after the other. */
  readonly pieces: readonly Uint8Array[];
}

/**
 * Encodes a picture as JSON lines. Stops after each mapping so that the caller can do other work
 * in between; returns when done.
 */
export function* encodeSnapshot(picture: FrozenPicture): Generator<void, EncodedSnapshot> {
  const counts: PageCounts = { anon: 0, file: 0, zero: 0, swap: 0 };
  const body = new AsciiWriter();
  const frames = picture.frames === undefined ? undefined : new FrameTable(picture.frames);
  for (const process of picture.processes) {
    body.text(`${JSON.stringify(processLine(process))}\n`);
    const runs = new RunWriter(process, frames, counts);
    for (const [index, vma] of process.vmas.entries()) {
      body.text(vmaHead(process.pid, vma));
      runs.next(body, vma, process.rowEnds[index] ?? 0, process.swapEnds[index] ?? 0);
      body.text('}\n');
      yield;
    }
  }
  const head = {
    k: 'snap',
    name: picture.name,
    time: picture.time,
    pids: picture.processes.length,
    ...counts,
  };
  return {
    pieces: [Buffer.from(`${JSON.stringify(head)}\n`), body.bytes()],
    totals: {
      name: picture.name,
      pids: picture.processes.length,
      anon_ptes: counts.anon,
      zero_ptes: counts.zero,
      file_ptes: counts.file,
      swap_ptes: counts.swap,
    },
  };
}
