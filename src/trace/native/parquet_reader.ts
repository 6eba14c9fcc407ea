import { gunzipSync } from 'node:zlib';
import type { ColumnMetaData, DecodedArray, FileMetaData } from 'hyparquet';
import { parquetHeader, readColumn } from 'hyparquet/src/column.js';
import { DEFAULT_PARSERS } from 'hyparquet/src/convert.js';
import { parquetMetadata, parquetSchema as schemaTree } from 'hyparquet/src/metadata.js';
import { getSchemaPath } from 'hyparquet/src/schema.js';
import { readVarInt } from 'hyparquet/src/thrift.js';
import { RmapError } from '../../base/errors.js';
import { inputError, reasonOf } from '../input_error.js';
import type { ByteSource } from './byte_source.js';
import { GROUP_ROWS, parquetSchema } from './parquet_schema.js';
import type { Column } from './tables.js';

const FOOTER_BYTES = 8;
const MOST_FOOTER_BYTES = 1 << 26;
/** Uncompressed bytes of one page of a column: rows of 8 bytes, or long texts. */
const MOST_PAGE_BYTES = 1 << 26;
/** Smallest chunk that zlib takes. */
const LEAST_CHUNK_BYTES = 64;
/** Values of one block of a delta-encoded page; writers use 128. */
const MOST_BLOCK_VALUES = 1 << 16;

type ColumnChunk = { readonly meta: ColumnMetaData; readonly start: number; readonly end: number };

interface RowGroup {
  readonly rows: number;
  readonly firstRow: number;
  readonly chunks: readonly ColumnChunk[];
}

/**
 * A Parquet file of the native format. Everything that the library would trust is checked before
 * it decodes: the schema, places and lengths of chunks, and the header of every page.
 */
export class ParquetTableReader {
  readonly groups: readonly RowGroup[];
  readonly rows: number;
  readonly #source: ByteSource;
  readonly #columns: readonly Column<unknown>[];
  readonly #metadata: FileMetaData;

  /** Reads and checks the footer. */
  constructor(source: ByteSource, columns: readonly Column<unknown>[]) {
    this.#source = source;
    this.#columns = columns;
    this.#metadata = this.#guard('footer', () => readFooter(source));
    this.#checkSchema();
    this.groups = this.#guard('footer', () => this.#readGroups());
    this.rows = this.groups.reduce((sum, group) => sum + group.rows, 0);
  }

  /** Decodes one row group: a column of values for each column of the table, in its order. */
  readGroup(index: number): DecodedArray[] {
    const group = this.groups[index];
    if (group === undefined) throw inputError(`${this.#source.name}: no row group ${index}`);
    return group.chunks.map((chunk, i) => {
      const { name = '', type } = this.#columns[i] ?? {};
      const values = this.#guard(`row group ${index}, column ${name}`, () => {
        return this.#readChunk(chunk, group.rows, name);
      });
      if (values.length !== group.rows) {
        throw this.#error(`row group ${index}, column ${name}: ${values.length} values`);
      }
      if (type !== 'text' || values.every((value) => typeof value === 'string')) return values;
      throw this.#error(`row group ${index}, column ${name}: a text is not in the dictionary`);
    });
  }

  close(): void {
    this.#source.close();
  }

  #error(what: string, cause?: unknown): RmapError {
    return inputError(`${this.#source.name}: ${what}`, cause);
  }

  /** Turns whatever the library throws on bad bytes into an input error. */
  #guard<T>(what: string, read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof RmapError && error.message.startsWith(this.#source.name)) throw error;
      throw this.#error(`${what}: not readable as Parquet (${reasonOf(error)})`, error);
    }
  }

  #checkSchema(): void {
    const expected = parquetSchema(this.#columns).slice(1);
    const found = this.#metadata.schema.slice(1);
    for (const [i, column] of expected.entries()) {
      const other = found[i];
      const fits =
        other?.name === column.name &&
        other.type === column.type &&
        other.converted_type === column.converted_type &&
        other.repetition_type === 'REQUIRED' &&
        (other.num_children ?? 0) === 0;
      if (!fits) throw this.#error(`expected column ${column.name} of type ${column.type}`);
    }
    if (found.length !== expected.length)
      throw this.#error(`column ${found.at(-1)?.name} too many`);
  }

  #readGroups(): RowGroup[] {
    let firstRow = 0;
    return this.#metadata.row_groups.map((group): RowGroup => {
      const rows = Number(group.num_rows);
      if (!(rows >= 1 && rows <= GROUP_ROWS)) throw this.#error(`row group of ${rows} rows`);
      const chunks = this.#columns.map((column, i) =>
        this.#checkChunk(column, group.columns[i]?.meta_data),
      );
      const start = firstRow;
      firstRow += rows;
      return { rows, firstRow: start, chunks };
    });
  }

  #checkChunk(column: Column<unknown>, meta: ColumnMetaData | undefined): ColumnChunk {
    if (meta === undefined || meta.path_in_schema.join('.') !== column.name) {
      throw this.#error(`no chunk of column ${column.name}`);
    }
    if (meta.codec !== 'GZIP')
      throw this.#error(`column ${column.name} is compressed by ${meta.codec}`);
    const start = Number(meta.dictionary_page_offset ?? meta.data_page_offset);
    const end = start + Number(meta.total_compressed_size);
    if (!(start >= 4 && end > start && end <= this.#source.sizeBytes)) {
      throw this.#error(`column ${column.name}: bytes ${start} to ${end} are not in the file`);
    }
    return { meta, start, end };
  }

  #readChunk(chunk: ColumnChunk, rows: number, name: string): DecodedArray {
    const bytes = this.#source.read(chunk.start, chunk.end);
    this.#checkPages(bytes, chunk.start, rows);
    const schemaPath = getSchemaPath(this.#metadata.schema, [name]);
    const element = schemaPath.at(-1)?.element;
    if (element === undefined) throw this.#error(`no column ${name}`);
    const { data } = readColumn(
      { view: new DataView(bytes.buffer), offset: 0 },
      { groupStart: 0, selectStart: 0, selectEnd: rows, groupRows: rows },
      {
        pathInSchema: [name],
        type: chunk.meta.type,
        element,
        schemaPath,
        codec: chunk.meta.codec,
        parsers: DEFAULT_PARSERS,
        compressors: { GZIP: isDelta(chunk.meta) ? gunzipDeltaPage : gunzipPage },
      },
    );
    const [values, ...more] = data;
    if (values === undefined) throw this.#error(`column ${name}: no page`);
    if (more.length === 0) return values;
    // Only long texts need several pages.
    if (!data.every(Array.isArray)) throw this.#error(`column ${name}: several pages`);
    return data.flat();
  }

  /** Walks over the page headers of a chunk: their sizes and counts decide what is allocated. */
  #checkPages(bytes: Uint8Array<ArrayBuffer>, start: number, rows: number): void {
    const reader = { view: new DataView(bytes.buffer), offset: 0 };
    let values = 0;
    while (reader.offset < bytes.length) {
      const at = start + reader.offset;
      const header = parquetHeader(reader);
      const size = header.compressed_page_size;
      if (!(size >= 0 && reader.offset + size <= bytes.length)) {
        throw this.#error(`offset ${at}: page of ${size} bytes does not fit its column`);
      }
      const uncompressed = header.uncompressed_page_size;
      if (!(uncompressed >= 0 && uncompressed <= MOST_PAGE_BYTES)) {
        throw this.#error(`offset ${at}: page of ${uncompressed} bytes, uncompressed`);
      }
      const { dictionary_page_header: dictionary, data_page_header_v2: page } = header;
      const count = dictionary?.num_values ?? page?.num_values ?? -1;
      if (!(count >= 0 && count <= rows))
        throw this.#error(`offset ${at}: page of ${count} values`);
      if (page !== undefined) {
        const levels = page.definition_levels_byte_length + page.repetition_levels_byte_length;
        const isFlat = levels === 0 && page.num_nulls === 0 && page.num_rows === count;
        if (!isFlat) throw this.#error(`offset ${at}: page with nulls or lists`);
        values += count;
      }
      reader.offset += size;
    }
    if (values !== rows) throw this.#error(`offset ${start}: ${values} values, expected ${rows}`);
  }
}

function readFooter(source: ByteSource): FileMetaData {
  const { sizeBytes } = source;
  if (sizeBytes < FOOTER_BYTES + 4)
    throw inputError(`${source.name}: too short for a Parquet file`);
  const tail = source.read(sizeBytes - FOOTER_BYTES, sizeBytes);
  const metadataBytes = new DataView(tail.buffer).getUint32(0, true);
  const footerBytes = metadataBytes + FOOTER_BYTES;
  if (footerBytes > sizeBytes || footerBytes > MOST_FOOTER_BYTES) {
    throw inputError(
      `${source.name} offset ${sizeBytes - FOOTER_BYTES}: footer of ${metadataBytes} bytes`,
    );
  }
  const metadata = parquetMetadata(source.read(sizeBytes - footerBytes, sizeBytes), {
    geoparquet: false,
  });
  // Fails on a schema that is not a tree.
  schemaTree(metadata);
  return metadata;
}

function isDelta(meta: ColumnMetaData): boolean {
  return meta.encodings.includes('DELTA_BINARY_PACKED');
}

/** The first two numbers of a delta-encoded page say how much the library allocates per block. */
function gunzipDeltaPage(bytes: Uint8Array, sizeBytes: number): Uint8Array {
  const page = gunzipPage(bytes, sizeBytes);
  const reader = { view: new DataView(page.buffer, page.byteOffset, page.byteLength), offset: 0 };
  const [valuesPerBlock, miniblocks] = [readVarInt(reader), readVarInt(reader)];
  if (valuesPerBlock >= 1 && valuesPerBlock <= MOST_BLOCK_VALUES && miniblocks >= 1) {
    if (valuesPerBlock % miniblocks === 0) return page;
  }
  throw inputError(`delta blocks of ${valuesPerBlock} values in ${miniblocks} pieces`);
}

function gunzipPage(bytes: Uint8Array, sizeBytes: number): Uint8Array {
  // One chunk for the whole page: nothing is put together afterwards.
  const chunkSize = Math.max(sizeBytes, LEAST_CHUNK_BYTES);
  return gunzipSync(bytes, { chunkSize, maxOutputLength: Math.max(sizeBytes, 1) });
}
