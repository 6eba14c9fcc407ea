import { existsSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../test/support/trace_events.js';
import { openFileSource } from './byte_source.js';
import { ParquetTableReader } from './parquet_reader.js';
import { parquetSchema } from './parquet_schema.js';
import { ParquetTableWriter } from './parquet_writer.js';
import { GroupMemory, forEachGroup } from './row_groups.js';
import type { Column } from './tables.js';

const COLUMNS: readonly Column[] = [
  { name: 'row', type: 'row', source: '' },
  { name: 'small', type: 'int32', source: '' },
  { name: 'slow', type: 'int64', source: '' },
  { name: 'long', type: 'long', source: '' },
  { name: 'word', type: 'word', source: '' },
  { name: 'bool', type: 'bool', source: '' },
  { name: 'text', type: 'text', source: '' },
];
const VALUES = [
  new Int32Array([0, 5, 1_000_000]),
  new Int32Array([-1, 0, 2 ** 31 - 1]),
  new BigInt64Array([-(2n ** 63n), 0n, 2n ** 63n - 1n]),
  new BigInt64Array([-1n, 7n, 2n ** 53n]),
  new BigUint64Array([0n, 2n ** 64n - 1n, 2n ** 63n]),
  [true, false, true],
  ['', 'é', 'x'.repeat(5000)],
];

function writeTable(groups: number): string {
  const path = join(temporaryDirectory(), 'table.parquet');
  const writer = new ParquetTableWriter(path, COLUMNS);
  for (let group = 0; group < groups; group += 1) writer.writeGroup(VALUES);
  writer.finish();
  return path;
}

describe('Parquet tables', () => {
  it('give back what was written', () => {
    const reader = new ParquetTableReader(openFileSource(writeTable(2)), COLUMNS);
    expect([reader.rows, reader.groups.length]).toEqual([6, 2]);
    for (const group of [0, 1]) {
      expect(reader.readGroup(group).map((column) => [...column])).toEqual(
        VALUES.map((column) => [...column]),
      );
    }
    expect(() => reader.readGroup(2)).toThrow(/no row group 2/);
    reader.close();
  });

  it('are opened once in a memory of groups, and closed when nobody reads', () => {
    const path = writeTable(2);
    const memory = new GroupMemory();
    const isOpen = (): boolean =>
      readdirSync('/proc/self/fd').some((fd) => {
        const link = `/proc/self/fd/${fd}`;
        return existsSync(link) && readlinkSync(link) === path;
      });
    const rowsRead: number[] = [];
    for (const range of [
      [0, 2],
      [1, 6],
      [3, 3],
    ] as const) {
      forEachGroup(memory, path, COLUMNS, range, (values, from, to) => {
        expect(values.map((column) => [...column])).toEqual(VALUES.map((column) => [...column]));
        rowsRead.push(to - from);
      });
      expect(isOpen()).toBe(false);
    }
    expect(rowsRead).toEqual([2, 2, 3]);
    const reader = memory.open(path, COLUMNS);
    expect(memory.open(path, COLUMNS)).toBe(reader);
    expect(() => forEachGroup(memory, path, COLUMNS, [5, 7], () => {})).toThrow(/rows 5 to 7 of 6/);
    expect(isOpen()).toBe(false);
    writeFileSync(join(dirname(path), 'bad'), 'PAR1 no table PAR1');
    expect(() => memory.open(join(dirname(path), 'bad'), COLUMNS)).toThrow(/bad/);
  });

  it('are refused under other columns', () => {
    const source = openFileSource(writeTable(1));
    const [first, ...rest] = COLUMNS;
    const attempt = (columns: readonly Column[]) => () => new ParquetTableReader(source, columns);
    expect(attempt(rest)).toThrow(/expected column small/);
    expect(attempt(COLUMNS.slice(0, 3))).toThrow(/column text too many/);
    expect(attempt([...COLUMNS, { name: 'more', type: 'bool', source: '' }])).toThrow(
      /column more/,
    );
    if (first === undefined) throw new Error('no column');
    expect(attempt([{ ...first, type: 'word' }, ...rest])).toThrow(/expected column row of type/);
    source.close();
  });

  it('are refused when they are no Parquet, or cut', () => {
    const path = writeTable(1);
    const bytes = readFileSync(path);
    for (const [content, message] of [
      [Buffer.from('short'), /too short for a Parquet file/],
      [bytes.subarray(0, bytes.length - 1), /table\.parquet/],
      [Buffer.alloc(1000), /not readable as Parquet/],
      [
        Buffer.concat([
          bytes.subarray(0, -8),
          Buffer.from([255, 255, 255, 255]),
          bytes.subarray(-4),
        ]),
        /footer of 4294967295 bytes/,
      ],
    ] as const) {
      writeFileSync(path, content);
      expect(() => new ParquetTableReader(openFileSource(path), COLUMNS)).toThrow(message);
    }
  });

  /** A table of one column whose page is what `page` makes of the honest one. */
  function hostileTable(
    column: Column,
    data: Int32Array | string[],
    page: (honest: Uint8Array) => Uint8Array,
  ): ParquetTableReader {
    const bytes = new ByteWriter();
    const encoding = column.type === 'text' ? undefined : ('DELTA_BINARY_PACKED' as const);
    const writer = new ParquetWriter({
      writer: bytes,
      schema: parquetSchema([column]),
      codec: 'GZIP',
      compressors: { GZIP: (honest) => gzipSync(page(honest)) },
    });
    const entry = { name: column.name, data, offsetIndex: false };
    void writer.write({ columnData: [encoding === undefined ? entry : { ...entry, encoding }] });
    void writer.finish();
    const path = join(temporaryDirectory(), 'hostile.parquet');
    writeFileSync(path, bytes.getBytes());
    return new ParquetTableReader(openFileSource(path), [column]);
  }

  const ROW: Column = { name: 'row', type: 'row', source: '' };
  const TEXT: Column = { name: 'text', type: 'text', source: '' };

  it('are refused with delta blocks that would allocate gigabytes', () => {
    const data = Int32Array.from({ length: 1000 }, (_, i) => i * 3);
    expect(hostileTable(ROW, data, (honest) => honest).readGroup(0)[0]?.[999]).toBe(2997);
    for (const header of [
      [0xff, 0xff, 0xff, 0xff, 0x0f, 0xff, 0xff, 0xff, 0xff, 0x0f],
      [0x80, 0x01, 0x00],
      [0x80, 0x01, 0x03],
      [0x00, 0x00],
    ]) {
      const table = hostileTable(ROW, data, (honest) => {
        const changed = Uint8Array.from(honest);
        changed.set(header);
        return changed;
      });
      expect(() => table.readGroup(0)).toThrow(/row group 0, column row: .*delta blocks of/);
    }
  });

  it('are refused with pages that unpack to more than they say', () => {
    const data = Int32Array.from({ length: 100 }, (_, i) => i);
    const table = hostileTable(ROW, data, () => new Uint8Array(1 << 26));
    expect(() => table.readGroup(0)).toThrow(/hostile\.parquet: row group 0, column row/);
  });

  it('are refused with texts that are not in the dictionary', () => {
    const data = Array.from({ length: 1000 }, (_, i) => ['a', 'b', 'c'][i % 3] ?? '');
    expect(hostileTable(TEXT, data, (honest) => honest).readGroup(0)[0]?.[4]).toBe('b');
    let pages = 0;
    const table = hostileTable(TEXT, data, (honest) => {
      pages += 1;
      // The second page has the rows: two bits each, of which 3 is no text.
      return pages === 1 ? honest : Uint8Array.from(honest, (byte, i) => (i < 4 ? byte : 0xff));
    });
    expect(() => table.readGroup(0)).toThrow(
      /row group 0, column text: a text is not in the dictionary/,
    );
  });
});
