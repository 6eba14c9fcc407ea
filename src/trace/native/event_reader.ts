import { join } from 'node:path';
import type { DecodedArray } from 'hyparquet';
import { assertNever } from '../../base/errors.js';
import { allocateColumns } from '../batch_builder.js';
import type { EventBatch, EventKind } from '../event.js';
import { EVENT_NAMES } from '../event.js';
import { inputError } from '../input_error.js';
import type { FieldName } from '../recording.js';
import type { StringTable, WordTable } from '../tables.js';
import { openFileSource } from './byte_source.js';
import type { Manifest } from './manifest.js';
import { ParquetTableReader } from './parquet_reader.js';
import type { Piece } from './scatter.js';
import * as scatter from './scatter.js';
import type { CellName, EventTable } from './tables.js';
import { EVENT_TABLES } from './tables.js';

const NO_KIND = 255;
const CELLS = ['a', 'b', 'c', 'd', 'e', 'f'] as const;

type MutableBatch = ReturnType<typeof allocateColumns>;

/** What the reader fills in besides the batches. */
export interface EventReaderTarget {
  readonly strings: StringTable;
  readonly words: WordTable;
  readonly fields: ReadonlyMap<string, readonly FieldName[]>;
}

/**
 * Reads the event tables of a native recording in step: the rows of each table go to the places
 * in the batch that their sequence numbers say. One row group of each table is in memory.
 */
export class NativeEventReader {
  readonly #directory: string;
  readonly #manifest: Manifest;
  readonly #cursors: TableCursor[] = [];
  #lastTimeNs = 0;

  constructor(directory: string, manifest: Manifest, target: EventReaderTarget) {
    this.#directory = directory;
    this.#manifest = manifest;
    let rows = 0;
    for (const table of EVENT_TABLES) {
      const file = manifest.tables.find((candidate) => candidate.name === table.name);
      if (file === undefined) continue;
      const path = join(directory, `${table.name}.parquet`);
      const reader = new ParquetTableReader(openFileSource(path), table.columns);
      this.#cursors.push(new TableCursor(path, table, reader, target));
      rows += reader.rows;
      if (reader.rows !== file.rows) {
        throw inputError(`${path}: ${reader.rows} rows, the manifest says ${file.rows}`);
      }
    }
    if (rows !== manifest.events) {
      throw inputError(`${directory}: ${rows} events, the manifest says ${manifest.events}`);
    }
  }

  *batches(batchLength: number): Generator<EventBatch> {
    const { events } = this.#manifest;
    for (let first = 0; first < events; first += batchLength) {
      const length = Math.min(batchLength, events - first);
      const batch = allocateColumns(length);
      batch.kind.fill(NO_KIND);
      batch.text.fill(-1);
      for (const cursor of this.#cursors) cursor.scatterUntil(batch, first, first + length);
      this.#check(batch, first);
      yield { firstIndex: first, length, ...batch };
    }
  }

  close(): void {
    for (const cursor of this.#cursors) cursor.close();
  }

  #check(batch: MutableBatch, first: number): void {
    const hole = batch.kind.indexOf(NO_KIND);
    if (hole !== -1) throw inputError(`${this.#directory}: event ${first + hole} is in no table`);
    let last = this.#lastTimeNs;
    for (let row = 0; row < batch.timeNs.length; row += 1) {
      const timeNs = batch.timeNs[row] ?? 0;
      if (!(timeNs >= last)) {
        throw inputError(`${this.#directory}: event ${first + row}: time goes backwards`);
      }
      last = timeNs;
    }
    this.#lastTimeNs = last;
  }
}

/** Place in one table. */
class TableCursor {
  readonly #path: string;
  readonly #table: EventTable;
  readonly #reader: ParquetTableReader;
  readonly #target: EventReaderTarget;
  readonly #kindOf: ReadonlyMap<unknown, EventKind>;
  #nextGroup = 0;
  #columns: readonly DecodedArray[] = [];
  #seq: Int32Array = new Int32Array(0);
  #row = 0;
  #lastSeq = -1;

  constructor(
    path: string,
    table: EventTable,
    reader: ParquetTableReader,
    target: EventReaderTarget,
  ) {
    this.#path = path;
    this.#table = table;
    this.#reader = reader;
    this.#target = target;
    this.#kindOf = new Map(table.kinds.map((kind) => [EVENT_NAMES[kind], kind]));
  }

  close(): void {
    this.#reader.close();
  }

  /** Moves all rows with sequence numbers below `end` to their places. */
  scatterUntil(batch: MutableBatch, base: number, end: number): void {
    for (;;) {
      if (this.#row === this.#seq.length) {
        if (this.#nextGroup === this.#reader.groups.length) return;
        this.#loadGroup();
      }
      const from = this.#row;
      const to = lowerBound(this.#seq, from, end);
      if (to > from) this.#scatter(batch, { seq: this.#seq, from, to, base });
      this.#row = to;
      if (to < this.#seq.length) return;
    }
  }

  #loadGroup(): void {
    this.#columns = this.#reader.readGroup(this.#nextGroup);
    this.#nextGroup += 1;
    const seq = this.#columns[0];
    if (!(seq instanceof Int32Array)) throw inputError(`${this.#path}: no sequence numbers`);
    this.#lastSeq = this.#checkOrder(seq);
    this.#seq = seq;
    this.#row = 0;
  }

  /** The last of the numbers, which must ascend. By index: an iterator is slow until it is hot. */
  #checkOrder(seq: Int32Array): number {
    let last = this.#lastSeq;
    for (let row = 0; row < seq.length; row += 1) {
      const number = seq[row] ?? 0;
      if (number <= last) throw inputError(`${this.#path}: event ${number} stands behind ${last}`);
      last = number;
    }
    return last;
  }

  #scatter(batch: MutableBatch, piece: Piece): void {
    const { kinds, columns } = this.#table;
    if (kinds.length === 1) scatter.scatterKind(piece, batch.kind, kinds[0] ?? 0);
    for (const [i, { source, type }] of columns.entries()) {
      const values = this.#columns[i] ?? [];
      switch (source) {
        case 'seq':
          break;
        case 'timeNs':
          scatter.scatterWords(piece, values, batch.timeNs, this.#target.words);
          break;
        case 'cpu':
          scatter.scatterCpu(piece, values, batch.cpu);
          break;
        case 'tid':
          scatter.scatterTid(piece, values, batch.tid);
          break;
        case 'isSecond':
          scatter.scatterIsSecond(piece, values, batch.kind, kinds);
          break;
        case 'kind':
          this.#scatterKindNames(piece, values, batch);
          break;
        case 'text':
          scatter.scatterTexts(piece, values, batch.text, this.#target.strings);
          break;
        case 'fieldTexts':
          this.#scatterFieldTexts(piece, values, batch);
          break;
        case 'a':
        case 'b':
        case 'c':
        case 'd':
        case 'e':
        case 'f':
          if (type === 'int32') scatter.scatterInt32(piece, values, batch[source]);
          else scatter.scatterWords(piece, values, batch[source], this.#target.words);
          break;
        default:
          assertNever(source, 'source of a column');
      }
    }
  }

  #scatterKindNames(piece: Piece, values: DecodedArray, batch: MutableBatch): void {
    const unknown = scatter.scatterKindNames(piece, values, batch.kind, this.#kindOf);
    if (unknown === undefined) return;
    throw inputError(`${this.#path}: unknown event kind ${JSON.stringify(unknown)}`);
  }

  /** Texts of the text fields of `other` events: their cells become rows of the string table. */
  #scatterFieldTexts(piece: Piece, values: DecodedArray, batch: MutableBatch): void {
    const { strings, fields } = this.#target;
    for (let row = piece.from; row < piece.to; row += 1) {
      const json: unknown = values[row];
      if (typeof json !== 'string' || json === '') continue;
      const place = (piece.seq[row] ?? 0) - piece.base;
      const texts = this.#parseTexts(json);
      const names = fields.get(strings.text(batch.text[place] ?? -1)) ?? [];
      const textCells = CELLS.filter((_cell: CellName, i) => names[i]?.type === 'text');
      for (const [i, cell] of textCells.entries()) {
        batch[cell][place] = strings.intern(texts[i] ?? '');
      }
    }
  }

  #parseTexts(json: string): string[] {
    let parsed: unknown;
    try {
      parsed = JSON.parse(json);
    } catch (error) {
      throw inputError(`${this.#path}: malformed field_texts`, error);
    }
    if (Array.isArray(parsed)) return parsed.map(String);
    throw inputError(`${this.#path}: field_texts is not an array`);
  }
}

/** First row from `from` on whose number is not below `end`; the rows ascend. */
function lowerBound(seq: Int32Array, from: number, end: number): number {
  let low = from;
  let high = seq.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((seq[middle] ?? 0) < end) low = middle + 1;
    else high = middle;
  }
  return low;
}
