import type { DecodedArray } from 'hyparquet';
import { inputError } from '../input_error.js';
import { openFileSource } from './byte_source.js';
import { ParquetTableReader } from './parquet_reader.js';
import type { Column } from './tables.js';

/**
 * The row group that was decoded last of each table: the snapshots of a recording follow each other
 * in the tables, so the next one mostly begins in the same group.
 */
export class GroupMemory {
  readonly #last = new Map<string, { readonly index: number; readonly values: DecodedArray[] }>();

  read(path: string, reader: ParquetTableReader, index: number): readonly DecodedArray[] {
    const known = this.#last.get(path);
    if (known?.index === index) return known.values;
    const values = reader.readGroup(index);
    this.#last.set(path, { index, values });
    return values;
  }
}

/** Opens a table that must have the rows `first` … `end`. */
function openTable(
  path: string,
  columns: readonly Column[],
  first: number,
  end: number,
): ParquetTableReader {
  const reader = new ParquetTableReader(openFileSource(path), columns);
  if (first <= end && end <= reader.rows) return reader;
  reader.close();
  throw inputError(`${path}: rows ${first} to ${end} of ${reader.rows}`);
}

/** Decodes the row groups that hold rows `first` … `end` of a table. */
export function forEachGroup(
  memory: GroupMemory,
  path: string,
  columns: readonly Column[],
  [first, end]: readonly [number, number],
  visit: (values: readonly DecodedArray[], from: number, to: number) => void,
): void {
  const reader = openTable(path, columns, first, end);
  try {
    for (const [i, { firstRow, rows }] of reader.groups.entries()) {
      const from = Math.max(first, firstRow);
      const to = Math.min(end, firstRow + rows);
      if (from < to) visit(memory.read(path, reader, i), from - firstRow, to - firstRow);
    }
  } finally {
    reader.close();
  }
}
