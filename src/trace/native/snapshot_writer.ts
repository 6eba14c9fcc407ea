import { join } from 'node:path';
import type { Snapshot, SnapshotProcess, SnapshotVma } from '../snapshot.js';
import { RUN_NAMES } from '../snapshot.js';
import { GROUP_ROWS } from './parquet_schema.js';
import type { ColumnValues } from './parquet_writer.js';
import { ParquetTableWriter } from './parquet_writer.js';
import type { Column } from './tables.js';
import { PROCESS_COLUMNS, RUN_COLUMNS, VMA_COLUMNS } from './tables.js';

/** Rows of one snapshot in each of its tables: first, and behind the last. */
export interface SnapshotRows {
  readonly processes: readonly [number, number];
  readonly vmas: readonly [number, number];
  readonly runs: readonly [number, number];
}

/** Writes snapshots into three tables; each snapshot starts a new row group in each. */
export class SnapshotTableWriter {
  readonly #processes: ParquetTableWriter;
  readonly #vmas: ParquetTableWriter;
  readonly #runs: ParquetTableWriter;
  #snapshots = 0;

  constructor(directory: string) {
    this.#processes = new ParquetTableWriter(join(directory, 'processes.parquet'), PROCESS_COLUMNS);
    this.#vmas = new ParquetTableWriter(join(directory, 'vmas.parquet'), VMA_COLUMNS);
    this.#runs = new ParquetTableWriter(join(directory, 'runs.parquet'), RUN_COLUMNS);
  }

  write(snapshot: Snapshot): SnapshotRows {
    const number = this.#snapshots;
    this.#snapshots += 1;
    return {
      processes: writeObjects(this.#processes, PROCESS_COLUMNS, number, snapshot.procs),
      vmas: writeObjects(this.#vmas, VMA_COLUMNS, number, snapshot.vmas),
      runs: writeRuns(this.#runs, number, snapshot),
    };
  }

  finish(): Array<{ name: string; rows: number; sizeBytes: number }> {
    const tables = [
      ['processes', this.#processes],
      ['vmas', this.#vmas],
      ['runs', this.#runs],
    ] as const;
    return tables.map(([name, table]) => {
      table.finish();
      return { name, rows: table.rows, sizeBytes: table.sizeBytes };
    });
  }

  abandon(): void {
    for (const table of [this.#processes, this.#vmas, this.#runs]) table.abandon();
  }
}

type Described = SnapshotProcess | SnapshotVma;

/** Writes processes or VMAs, which are plain objects with the names of the columns' sources. */
function writeObjects(
  table: ParquetTableWriter,
  columns: readonly Column[],
  snapshot: number,
  objects: readonly Described[],
): readonly [number, number] {
  const first = table.rows;
  for (let from = 0; from < objects.length; from += GROUP_ROWS) {
    const piece = objects.slice(from, from + GROUP_ROWS);
    table.writeGroup(columns.map((column) => objectColumn(column, snapshot, piece)));
  }
  return [first, table.rows];
}

function objectColumn(
  column: Column,
  snapshot: number,
  objects: readonly Described[],
): ColumnValues {
  const values = objects.map((object): unknown => {
    if (column.source === 'snapshot') return snapshot;
    const value = Object.entries(object).find(([key]) => key === column.source)?.[1];
    return Array.isArray(value) ? value.join(' ') : value;
  });
  if (column.type === 'text') return values.map(String);
  if (column.type === 'int32') return Int32Array.from(values, Number);
  if (column.type === 'word') return BigUint64Array.from(values, (value) => BigInt(Number(value)));
  return BigInt64Array.from(values, (value) => BigInt(Number(value)));
}

/**
 * Writes the runs in the order of their first page, not of their process: memory that processes
 * share by fork stands at the same addresses, so equal page frames come together and compress.
 */
function writeRuns(
  table: ParquetTableWriter,
  snapshot: number,
  { vmas, procs, runs }: Snapshot,
): readonly [number, number] {
  const first = table.rows;
  const processOf = new Int32Array(runs.length);
  const rankOf = new Map(procs.map((proc, rank) => [proc.pid, rank]));
  for (const vma of vmas) {
    processOf.fill(rankOf.get(vma.pid) ?? 0, vma.runStart, vma.runEnd);
  }
  const order = Array.from({ length: runs.length }, (_, row) => row).sort((left, right) => {
    const byPage = (runs.page[left] ?? 0) - (runs.page[right] ?? 0);
    return byPage === 0 ? (processOf[left] ?? 0) - (processOf[right] ?? 0) : byPage;
  });
  for (let from = 0; from < order.length; from += GROUP_ROWS) {
    const rows = order.slice(from, from + GROUP_ROWS);
    table.writeGroup([
      new Int32Array(rows.length).fill(snapshot),
      Int32Array.from(rows, (row) => procs[processOf[row] ?? 0]?.pid ?? 0),
      BigInt64Array.from(rows, (row) => BigInt(runs.page[row] ?? 0)),
      Int32Array.from(rows, (row) => runs.count[row] ?? 0),
      rows.map((row) => RUN_NAMES[runs.kind[row] ?? 0] ?? ''),
      BigInt64Array.from(rows, (row) => BigInt(runs.pfn[row] ?? 0)),
      Int32Array.from(rows, (row) => runs.mapcount[row] ?? 0),
      rows.map((row) => runs.exclusive[row] === 1),
    ]);
  }
  return [first, table.rows];
}
