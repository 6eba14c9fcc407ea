import { join } from 'node:path';
import type { DecodedArray } from 'hyparquet';
import type { SnapshotArea, SnapshotLayout, SnapshotProcess } from '../snapshot.js';
import { LayoutCheck } from '../snapshot_builder.js';
import type { ManifestSnapshot } from './manifest.js';
import { forEachGroup, type GroupMemory } from './row_groups.js';
import type { Column } from './tables.js';
import { PROCESS_COLUMNS, VMA_COLUMNS } from './tables.js';

/** Reads the processes and VMAs of one snapshot of a native recording. */
export function readNativeLayout(
  directory: string,
  snapshot: ManifestSnapshot,
  memory: GroupMemory,
): SnapshotLayout {
  const { name, rows } = snapshot;
  const check = new LayoutCheck();
  const procs: SnapshotProcess[] = [];
  const vmas: SnapshotArea[] = [];
  const processes = join(directory, 'processes.parquet');
  forEachGroup(memory, processes, PROCESS_COLUMNS, rows.processes, (values, from, to) => {
    addProcesses(columnsBySource(PROCESS_COLUMNS, values), from, to, (process) => {
      check.addProcess(process.pid);
      procs.push(process);
    });
  });
  const areas = join(directory, 'vmas.parquet');
  forEachGroup(memory, areas, VMA_COLUMNS, rows.vmas, (values, from, to) => {
    addAreas(columnsBySource(VMA_COLUMNS, values), from, to, (vma) => {
      check.addVma(vma);
      vmas.push(vma);
    });
  });
  return { name, procs, vmas };
}

/** The values of a column by the name of its source. */
type ColumnOf = (source: string) => DecodedArray;

function columnsBySource(columns: readonly Column[], values: readonly DecodedArray[]): ColumnOf {
  return (source) => values[columns.findIndex((column) => column.source === source)] ?? [];
}

function addProcesses(
  column: ColumnOf,
  from: number,
  to: number,
  add: (process: SnapshotProcess) => void,
): void {
  const pid = column('pid');
  const ppid = column('ppid');
  const comm = column('comm');
  const tids = column('tids');
  const argStart = column('argStart');
  const envEnd = column('envEnd');
  const stackStart = column('stackStart');
  const brkStart = column('brkStart');
  const rssAnonKib = column('rssAnonKib');
  const rssFileKib = column('rssFileKib');
  const rssShmemKib = column('rssShmemKib');
  const swapKib = column('swapKib');
  const minorFaults = column('minorFaults');
  const majorFaults = column('majorFaults');
  for (let row = from; row < to; row += 1) {
    const threads = String(tids[row]);
    add({
      pid: Number(pid[row]),
      ppid: Number(ppid[row]),
      comm: String(comm[row]),
      tids: threads === '' ? [] : threads.split(' ').map(Number),
      argStart: Number(argStart[row]),
      envEnd: Number(envEnd[row]),
      stackStart: Number(stackStart[row]),
      brkStart: Number(brkStart[row]),
      rssAnonKib: Number(rssAnonKib[row]),
      rssFileKib: Number(rssFileKib[row]),
      rssShmemKib: Number(rssShmemKib[row]),
      swapKib: Number(swapKib[row]),
      minorFaults: Number(minorFaults[row]),
      majorFaults: Number(majorFaults[row]),
    });
  }
}

function addAreas(
  column: ColumnOf,
  from: number,
  to: number,
  add: (area: SnapshotArea) => void,
): void {
  const pid = column('pid');
  const startPage = column('startPage');
  const endPage = column('endPage');
  const perms = column('perms');
  const offsetBytes = column('offsetBytes');
  const device = column('device');
  const inode = column('inode');
  const name = column('name');
  const rssKib = column('rssKib');
  const pssKib = column('pssKib');
  const anonKib = column('anonKib');
  const anonHugeKib = column('anonHugeKib');
  const ksmKib = column('ksmKib');
  const flags = column('flags');
  for (let row = from; row < to; row += 1) {
    add({
      pid: Number(pid[row]),
      startPage: Number(startPage[row]),
      endPage: Number(endPage[row]),
      perms: String(perms[row]),
      offsetBytes: Number(offsetBytes[row]),
      device: String(device[row]),
      inode: Number(inode[row]),
      name: String(name[row]),
      rssKib: Number(rssKib[row]),
      pssKib: Number(pssKib[row]),
      anonKib: Number(anonKib[row]),
      anonHugeKib: Number(anonHugeKib[row]),
      ksmKib: Number(ksmKib[row]),
      flags: String(flags[row]),
    });
  }
}
