import { join } from 'node:path';
import type { DecodedArray } from 'hyparquet';
import { fail } from '../../base/errors.js';
import { inputError } from '../input_error.js';
import { RUN_NAMES } from '../snapshot.js';
import type { RunKind, Snapshot, SnapshotLayout } from '../snapshot.js';
import { SnapshotBuilder } from '../snapshot_builder.js';
import type { ManifestSnapshot } from './manifest.js';
import { forEachGroup, type GroupMemory } from './row_groups.js';
import { halvesOf } from './scatter.js';
import { RUN_COLUMNS } from './tables.js';

const KIND_OF: ReadonlyMap<unknown, RunKind> = new Map(
  RUN_NAMES.map((name, kind) => [name, kind as RunKind]),
);

/** Reads one snapshot of a native recording whose layout was read before. */
export function readNativeSnapshot(
  directory: string,
  snapshot: ManifestSnapshot,
  { procs, vmas }: SnapshotLayout,
  memory: GroupMemory,
): Snapshot {
  const runs = new RunsByProcess(memory, directory, snapshot.rows.runs);
  const builder = new SnapshotBuilder(runs.rows);
  for (const process of procs) builder.addProcess(process);
  for (const vma of vmas) {
    builder.addVma(vma);
    runs.addTo(builder, vma.pid, vma.endPage);
  }
  runs.checkAllTaken();
  const found = builder.finish(snapshot.name, snapshot.time);
  if (found.anonPages !== snapshot.anonPages || found.processes !== snapshot.processes) {
    throw inputError(`${directory}: snapshot ${snapshot.name} is not what the manifest says`);
  }
  return found;
}

const NO_ROW = -1;

/** Runs of one process that are not taken yet, ascending by page: a list through `#nextRow`. */
interface ProcessRuns {
  first: number;
  last: number;
}

/** All runs of a snapshot; the file has them by page, the snapshot wants them by process. */
class RunsByProcess {
  readonly #byPid = new Map<number, ProcessRuns>();
  readonly #path: string;
  readonly #page: Float64Array;
  readonly #count: Int32Array;
  readonly #kind: Uint8Array;
  readonly #pfn: Float64Array;
  readonly #mapcount: Int32Array;
  readonly #exclusive: Uint8Array;
  readonly #nextRow: Int32Array;
  /** Of all processes together. */
  rows = 0;

  constructor(memory: GroupMemory, directory: string, range: readonly [number, number]) {
    this.#path = join(directory, 'runs.parquet');
    const [first, end] = range;
    const rows = Math.max(0, end - first);
    this.#page = new Float64Array(rows);
    this.#count = new Int32Array(rows);
    this.#kind = new Uint8Array(rows);
    this.#pfn = new Float64Array(rows);
    this.#mapcount = new Int32Array(rows);
    this.#exclusive = new Uint8Array(rows);
    this.#nextRow = new Int32Array(rows);
    forEachGroup(memory, this.#path, RUN_COLUMNS, range, (values, from, to) => {
      this.#add(values, from, to);
    });
  }

  #add(values: readonly DecodedArray[], from: number, to: number): void {
    const [, pids = [], pages = [], counts = [], kinds = [], pfns = [], mapcounts = []] = values;
    const exclusives = values[7] ?? [];
    const at = this.rows;
    copyLongs(pages, this.#page, at, from, to);
    copyLongs(pfns, this.#pfn, at, from, to);
    copyInts(counts, this.#count, at, from, to);
    copyInts(mapcounts, this.#mapcount, at, from, to);
    let lastPid = -1;
    let runs: ProcessRuns = { first: NO_ROW, last: NO_ROW };
    let lastKind: unknown;
    let kind: RunKind | undefined;
    for (let row = from; row < to; row += 1) {
      if (kinds[row] !== lastKind) {
        lastKind = kinds[row];
        kind = KIND_OF.get(lastKind);
      }
      if (kind === undefined) throw inputError(`${this.#path}: unknown kind ${kinds[row]}`);
      const target = at + row - from;
      this.#kind[target] = kind;
      this.#exclusive[target] = exclusives[row] === true ? 1 : 0;
      const pid = Number(pids[row]);
      if (pid !== lastPid) {
        lastPid = pid;
        runs = this.#runsOf(pid);
      }
      if (runs.first === NO_ROW) runs.first = target;
      else this.#nextRow[runs.last] = target;
      runs.last = target;
      this.#nextRow[target] = NO_ROW;
    }
    this.rows = at + to - from;
  }

  #runsOf(pid: number): ProcessRuns {
    let runs = this.#byPid.get(pid);
    if (runs === undefined) {
      runs = { first: NO_ROW, last: NO_ROW };
      this.#byPid.set(pid, runs);
    }
    return runs;
  }

  /** Adds the runs of a process below a page: those of the VMA that ends there. */
  addTo(builder: SnapshotBuilder, pid: number, endPage: number): void {
    const runs = this.#byPid.get(pid);
    if (runs === undefined) return;
    for (let row = runs.first; row !== NO_ROW; row = this.#nextRow[row] ?? NO_ROW) {
      runs.first = row;
      const page = this.#page[row] ?? 0;
      if (page >= endPage) return;
      builder.addRun(
        page,
        this.#count[row] ?? 0,
        (this.#kind[row] ?? 0) as RunKind,
        this.#pfn[row] ?? -1,
        this.#mapcount[row] ?? 0,
        this.#exclusive[row] === 1,
      );
    }
    runs.first = NO_ROW;
  }

  checkAllTaken(): void {
    for (const [pid, { first }] of this.#byPid) {
      if (first !== NO_ROW) {
        throw inputError(`${this.#path}: process ${pid} has runs outside of VMAs`);
      }
    }
  }
}

/** Signed 64-bit numbers into doubles, without a big integer per row. */
function copyLongs(
  values: DecodedArray,
  target: Float64Array,
  at: number,
  from: number,
  to: number,
): void {
  const halves = halvesOf(values);
  for (let row = from; row < to; row += 1) {
    const upper = (halves[2 * row + 1] ?? 0) | 0;
    target[at + row - from] = upper * 2 ** 32 + (halves[2 * row] ?? 0);
  }
}

function copyInts(
  values: DecodedArray,
  target: Int32Array,
  at: number,
  from: number,
  to: number,
): void {
  if (!(values instanceof Int32Array)) fail('a column of 32-bit values was decoded otherwise');
  target.set(values.subarray(from, to), at);
}
