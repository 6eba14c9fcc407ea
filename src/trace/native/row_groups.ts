import type { DecodedArray } from 'hyparquet';
import { inputError } from '../input_error.js';
import { openFileSource } from './byte_source.js';
import { ParquetTableReader } from './parquet_reader.js';
import type { Column } from './tables.js';

/**
 * Tables whose footers were read, and the row group that was decoded last of each: the snapshots of
 * a recording follow each other in the tables, so the next one often begins in the same group.
 */
export class GroupMemory {
  readonly #readers = new Map<string, ParquetTableReader>();
  readonly #last = new Map<string, { readonly index: number; readonly values: DecodedArray[] }>();

  /** The table in a file, which whoever is done closes: it can be read again. */
  open(path: string, columns: readonly Column[]): ParquetTableReader {
    let reader = this.#readers.get(path);
    if (reader === undefined) {
      const source = openFileSource(path);
      try {
        reader = new ParquetTableReader(source, columns);
      } catch (error) {
        source.close();
        throw error;
      }
      this.#readers.set(path, reader);
    }
    return reader;
  }

  read(path: string, reader: ParquetTableReader, index: number): readonly DecodedArray[] {
    const known = this.#last.get(path);
    if (known?.index === index) return known.values;
    const values = reader.readGroup(index);
    this.#last.set(path, { index, values });
    return values;
  }
}

/** Decodes the row groups that hold rows `first` … `end` of a table. */
export function forEachGroup(
  memory: GroupMemory,
  path: string,
  columns: readonly Column[],
  [first, end]: readonly [number, number],
  visit: (values: readonly DecodedArray[], from: number, to: number) => void,
): void {
  const reader = memory.open(path, columns);
  try {
    if (!(first <= end && end <= reader.rows)) {
      throw inputError(`${path}: rows ${first} to ${end} of ${reader.rows}`);
    }
    for (const [i, { firstRow, rows }] of reader.groups.entries()) {
      const from = Math.max(first, firstRow);
      const to = Math.min(end, firstRow + rows);
      if (from < to) visit(memory.read(path, reader, i), from - firstRow, to - firstRow);
    }
  } finally {
    reader.close();
  }
}
