import { closeSync, openSync, writeSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import type { SchemaElement } from 'hyparquet';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import type { Column, ColumnType } from './tables.js';

/** Rows of a row group. Readers hold one group of each table in memory. */
export const GROUP_ROWS = 65_536;
/** Larger than any column of a group, so that a column chunk is one page. */
const PAGE_BYTES = 1 << 26;
/** Measured: level 6 saves 1 % against 4 and takes half as long again. */
const GZIP_LEVEL = 4;

/** Values of a column as the Parquet library takes them. */
export type ColumnValues = Int32Array | BigInt64Array | BigUint64Array | boolean[] | string[];

interface Storage {
  readonly element: Omit<SchemaElement, 'name'>;
  readonly encoding: 'PLAIN' | 'DELTA_BINARY_PACKED' | 'RLE' | undefined;
}

/** Only encodings that DuckDB, pandas and Spark read. */
const STORAGE: Readonly<Record<ColumnType, Storage>> = {
  row: { element: { type: 'INT32' }, encoding: 'DELTA_BINARY_PACKED' },
  int32: { element: { type: 'INT32' }, encoding: 'PLAIN' },
  int64: { element: { type: 'INT64' }, encoding: 'DELTA_BINARY_PACKED' },
  long: { element: { type: 'INT64' }, encoding: 'PLAIN' },
  word: { element: { type: 'INT64', converted_type: 'UINT_64' }, encoding: 'PLAIN' },
  bool: { element: { type: 'BOOLEAN' }, encoding: 'PLAIN' },
  text: { element: { type: 'BYTE_ARRAY', converted_type: 'UTF8' }, encoding: undefined },
};

/** Schema of a table: flat, nothing optional. */
export function parquetSchema(columns: readonly Column<unknown>[]): SchemaElement[] {
  return [
    { name: 'root', num_children: columns.length },
    ...columns.map(({ name, type }): SchemaElement => {
      return { name, ...STORAGE[type].element, repetition_type: 'REQUIRED' };
    }),
  ];
}

/** Bytes on their way to a file; never overwrites, readable by the owner only. */
class FileBytes extends ByteWriter {
  readonly #descriptor: number;

  constructor(path: string) {
    super(1 << 20);
    this.#descriptor = openSync(path, 'wx', 0o600);
  }

  flush(): void {
    const bytes = this.getBytes();
    for (let done = 0; done < bytes.length;) {
      done += writeSync(this.#descriptor, bytes, done, bytes.length - done);
    }
    this.index = 0;
  }

  override finish(): void {
    this.flush();
    this.close();
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** One Parquet file, written a row group at a time. */
export class ParquetTableWriter {
  rows = 0;
  readonly #columns: readonly Column<unknown>[];
  readonly #bytes: FileBytes;
  readonly #writer: ParquetWriter;
  #isOpen = true;

  constructor(path: string, columns: readonly Column<unknown>[]) {
    this.#columns = columns;
    this.#bytes = new FileBytes(path);
    this.#writer = new ParquetWriter({
      writer: this.#bytes,
      schema: parquetSchema(columns),
      codec: 'GZIP',
      compressors: { GZIP: (bytes) => gzipSync(bytes, { level: GZIP_LEVEL }) },
      statistics: false,
      createdBy: 'rmap',
    });
  }

  get sizeBytes(): number {
    return this.#bytes.offset;
  }

  /** Writes one row group; `values` are in the order of the columns, all of the same length. */
  writeGroup(values: readonly ColumnValues[]): void {
    const rows = values[0]?.length ?? 0;
    if (rows === 0) return;
    const columnData = this.#columns.map(({ name, type }, i) => {
      const encoding = STORAGE[type].encoding;
      const data = values[i] ?? [];
      const statistics = name === 'seq' || name === 'time_ns' || name === 'snapshot';
      const column = { name, data, statistics, offsetIndex: false };
      return encoding === undefined ? column : { ...column, encoding };
    });
    void this.#writer.write({ columnData, rowGroupSize: rows, pageSize: PAGE_BYTES });
    this.rows += rows;
  }

  finish(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    void this.#writer.finish();
  }

  /** Closes the file as it is. */
  abandon(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#bytes.close();
  }
}
