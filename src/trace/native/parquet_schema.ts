/** What readers and writers of the native format's tables agree on. */
import type { SchemaElement } from 'hyparquet';
import type { Column, ColumnType } from './tables.js';

/** Rows of a row group. Readers hold one group of each table in memory. */
export const GROUP_ROWS = 65_536;
interface Storage {
  readonly element: Omit<SchemaElement, 'name'>;
  readonly encoding: 'PLAIN' | 'DELTA_BINARY_PACKED' | 'RLE' | undefined;
}

/** Only encodings that DuckDB, pandas and Spark read. */
export const STORAGE: Readonly<Record<ColumnType, Storage>> = {
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
