import { join } from 'node:path';
import type { EventBatch } from '../event.js';
import { EVENT_KIND_COUNT, EVENT_NAMES, isInternedWord, wordRow } from '../event.js';
import { inputError } from '../input_error.js';
import type { Recording } from '../recording.js';
import type { WordTable } from '../tables.js';
import { GROUP_ROWS } from './parquet_schema.js';
import type { ColumnValues } from './parquet_writer.js';
import { ParquetTableWriter } from './parquet_writer.js';
import type { Column, ColumnSource, EventTable } from './tables.js';
import { EVENT_TABLES } from './tables.js';

/** What the cells of a batch refer to. */
export type EventDictionaries = Pick<Recording, 'strings' | 'words' | 'fields'>;

const MOST_EVENTS = 2 ** 31;

/** Number of the table that holds each kind. */
const TABLE_OF_KIND: Uint8Array = (() => {
  const tables = new Uint8Array(EVENT_KIND_COUNT);
  for (const [table, { kinds }] of EVENT_TABLES.entries())
    for (const kind of kinds) tables[kind] = table;
  return tables;
})();

/** Distributes batches over the event tables and writes them group by group. */
export class EventTableWriter {
  readonly #tables: TableBuffer[] = [];
  readonly #directory: string;
  readonly #rowsOf: Int32Array[] = EVENT_TABLES.map(() => new Int32Array(0));

  constructor(directory: string, dictionaries: EventDictionaries) {
    this.#directory = directory;
    for (const table of EVENT_TABLES) this.#tables.push(new TableBuffer(table, dictionaries));
  }

  write(batch: EventBatch): void {
    if (batch.firstIndex + batch.length > MOST_EVENTS) {
      throw inputError(`more than ${MOST_EVENTS} events in one recording`);
    }
    const counts = new Int32Array(EVENT_TABLES.length);
    for (const [table, rows] of this.#rowsOf.entries()) {
      if (rows.length < batch.length) this.#rowsOf[table] = new Int32Array(batch.length);
    }
    for (let row = 0; row < batch.length; row += 1) {
      const table = TABLE_OF_KIND[batch.kind[row] ?? 0] ?? 0;
      const count = counts[table] ?? 0;
      const rows = this.#rowsOf[table];
      if (rows !== undefined) rows[count] = row;
      counts[table] = count + 1;
    }
    for (const [table, buffer] of this.#tables.entries()) {
      const rows = this.#rowsOf[table]?.subarray(0, counts[table]);
      if (rows !== undefined) buffer.append(batch, rows, this.#directory);
    }
  }

  /** Writes what is left; returns the files of tables that have rows. */
  finish(): Array<{ name: string; rows: number; sizeBytes: number }> {
    const files: Array<{ name: string; rows: number; sizeBytes: number }> = [];
    for (const table of this.#tables) {
      const file = table.finish(this.#directory);
      if (file !== undefined) files.push(file);
    }
    return files;
  }

  abandon(): void {
    for (const table of this.#tables) table.abandon();
  }
}

/** Rows of one table that are not in the file yet. */
class TableBuffer {
  readonly #table: EventTable;
  readonly #columns: ColumnBuffer[];
  #rows = 0;
  #file: ParquetTableWriter | undefined;

  constructor(table: EventTable, dictionaries: EventDictionaries) {
    this.#table = table;
    this.#columns = table.columns.map((column) => makeColumnBuffer(column, table, dictionaries));
  }

  append(batch: EventBatch, rows: Int32Array, directory: string): void {
    for (let from = 0; from < rows.length;) {
      const to = Math.min(rows.length, from + GROUP_ROWS - this.#rows);
      const piece = rows.subarray(from, to);
      for (const column of this.#columns) column.gather(batch, piece, this.#rows);
      this.#rows += piece.length;
      if (this.#rows === GROUP_ROWS) this.#flush(directory);
      from = to;
    }
  }

  finish(directory: string): { name: string; rows: number; sizeBytes: number } | undefined {
    if (this.#rows > 0) this.#flush(directory);
    const file = this.#file;
    if (file === undefined) return undefined;
    file.finish();
    return { name: this.#table.name, rows: file.rows, sizeBytes: file.sizeBytes };
  }

  abandon(): void {
    this.#file?.abandon();
  }

  #flush(directory: string): void {
    const { name, columns } = this.#table;
    this.#file ??= new ParquetTableWriter(join(directory, `${name}.parquet`), columns);
    this.#file.writeGroup(this.#columns.map((column) => column.values(this.#rows)));
    this.#rows = 0;
  }
}

/** Values of one column of the rows that are not in the file yet. */
interface ColumnBuffer {
  /** Takes the given rows of a batch, to be stored from row `at` on. */
  gather(batch: EventBatch, rows: Int32Array, at: number): void;
  values(rows: number): ColumnValues;
}

function makeColumnBuffer(
  column: Column<ColumnSource>,
  table: EventTable,
  dictionaries: EventDictionaries,
): ColumnBuffer {
  const { type, source } = column;
  if (type === 'bool') return new BoolBuffer(table);
  if (type === 'text') return new TextBuffer(source, dictionaries);
  if (type === 'row' || type === 'int32') return new Int32Buffer(column.name, source);
  return new WordBuffer(type === 'word', source, dictionaries.words);
}

/** Number of a row in the column that a source names. */
function numbersOf(batch: EventBatch, source: ColumnSource): ArrayLike<number> {
  switch (source) {
    case 'a':
    case 'b':
    case 'c':
    case 'd':
    case 'e':
    case 'f':
    case 'timeNs':
    case 'cpu':
    case 'tid':
      return batch[source];
    default:
      return batch.kind;
  }
}

class BoolBuffer implements ColumnBuffer {
  readonly #second: number;
  readonly #values: boolean[] = [];

  constructor(table: EventTable) {
    this.#second = table.kinds[1] ?? -1;
  }

  gather(batch: EventBatch, rows: Int32Array, at: number): void {
    for (let i = 0; i < rows.length; i += 1) {
      this.#values[at + i] = batch.kind[rows[i] ?? 0] === this.#second;
    }
  }

  values(rows: number): boolean[] {
    return this.#values.slice(0, rows);
  }
}

class TextBuffer implements ColumnBuffer {
  readonly #source: ColumnSource;
  readonly #dictionaries: EventDictionaries;
  readonly #values: string[] = [];

  constructor(source: ColumnSource, dictionaries: EventDictionaries) {
    this.#source = source;
    this.#dictionaries = dictionaries;
  }

  gather(batch: EventBatch, rows: Int32Array, at: number): void {
    for (let i = 0; i < rows.length; i += 1) this.#values[at + i] = this.#text(batch, rows[i] ?? 0);
  }

  #text(batch: EventBatch, row: number): string {
    if (this.#source === 'kind') return EVENT_NAMES[batch.kind[row] ?? 0] ?? '';
    const text = this.#dictionaries.strings.text(batch.text[row] ?? -1);
    return this.#source === 'text' ? text : fieldTexts(batch, row, text, this.#dictionaries);
  }

  values(rows: number): string[] {
    return this.#values.slice(0, rows);
  }
}

const CELLS = ['a', 'b', 'c', 'd', 'e', 'f'] as const;

/** The texts of the text fields of an event, as a JSON array in the order of the fields. */
function fieldTexts(
  batch: EventBatch,
  row: number,
  event: string,
  dictionaries: EventDictionaries,
): string {
  const fields = dictionaries.fields.get(event) ?? [];
  const texts: string[] = [];
  for (const [i, cell] of CELLS.entries()) {
    if (fields[i]?.type === 'text') texts.push(dictionaries.strings.text(batch[cell][row] ?? -1));
  }
  return texts.length === 0 ? '' : JSON.stringify(texts);
}

class Int32Buffer implements ColumnBuffer {
  readonly #name: string;
  readonly #source: ColumnSource;
  readonly #values = new Int32Array(GROUP_ROWS);

  constructor(name: string, source: ColumnSource) {
    this.#name = name;
    this.#source = source;
  }

  gather(batch: EventBatch, rows: Int32Array, at: number): void {
    if (this.#source === 'seq') {
      for (let i = 0; i < rows.length; i += 1) {
        this.#values[at + i] = batch.firstIndex + (rows[i] ?? 0);
      }
      return;
    }
    const numbers = numbersOf(batch, this.#source);
    for (let i = 0; i < rows.length; i += 1) {
      const value = numbers[rows[i] ?? 0] ?? 0;
      if (value !== (value | 0)) {
        throw inputError(`event ${batch.firstIndex + (rows[i] ?? 0)}: ${this.#name} is ${value}`);
      }
      this.#values[at + i] = value;
    }
  }

  values(rows: number): Int32Array {
    return this.#values.subarray(0, rows);
  }
}

class WordBuffer implements ColumnBuffer {
  readonly #source: ColumnSource;
  readonly #words: WordTable;
  readonly #isUnsigned: boolean;
  readonly #values = new BigInt64Array(GROUP_ROWS);
  /** The same memory as halves, so that no big integer is made per row. */
  readonly #halves = new Uint32Array(this.#values.buffer);

  constructor(isUnsigned: boolean, source: ColumnSource, words: WordTable) {
    this.#isUnsigned = isUnsigned;
    this.#source = source;
    this.#words = words;
  }

  gather(batch: EventBatch, rows: Int32Array, at: number): void {
    const numbers = numbersOf(batch, this.#source);
    for (let i = 0; i < rows.length; i += 1) {
      const value = numbers[rows[i] ?? 0] ?? 0;
      if (isInternedWord(value)) {
        this.#values[at + i] = BigInt.asIntN(64, this.#words.word(wordRow(value)));
      } else {
        this.#halves[2 * (at + i)] = value;
        this.#halves[2 * (at + i) + 1] = Math.floor(value / 2 ** 32);
      }
    }
  }

  values(rows: number): BigInt64Array | BigUint64Array {
    if (this.#isUnsigned) return new BigUint64Array(this.#values.buffer, 0, rows);
    return this.#values.subarray(0, rows);
  }
}
