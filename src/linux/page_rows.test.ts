import { expect, test } from 'vitest';
import { PAGE_FLAG, vpnOfRow } from '../query/page_map.js';
import { PageRowsBuilder, differingPages } from './page_rows.js';

const PRESENT = 1n << 63n;
const SWAPPED = 1n << 62n;
const FILE = 1n << 61n;
const GUARD = 1n << 58n;
const EXCLUSIVE = 1n << 56n;
const HOLE = 0n;

function feed(builder: PageRowsBuilder, vpn: number, entries: readonly bigint[]): void {
  const words = new Uint32Array(BigUint64Array.from(entries).buffer);
  builder.add(words, entries.length, vpn);
}

function rowsOf(vpn: number, entries: readonly bigint[]): ReturnType<PageRowsBuilder['rows']> {
  const builder = new PageRowsBuilder();
  feed(builder, vpn, entries);
  return builder.rows();
}

test('keeps present pages with their flags, in runs', () => {
  const rows = rowsOf(100, [PRESENT | 7n, PRESENT | EXCLUSIVE | 8n, HOLE, PRESENT | FILE | 9n]);
  expect([...rows.pfn]).toEqual([7, 8, 9]);
  expect([...rows.flags]).toEqual([0, PAGE_FLAG.exclusive, PAGE_FLAG.file]);
  expect([...rows.runVpn]).toEqual([100, 103]);
  expect([...rows.runRow]).toEqual([0, 2]);
  expect([0, 1, 2].map((row) => vpnOfRow(rows, row))).toEqual([100, 101, 103]);
});

test('continues a run across reads', () => {
  const builder = new PageRowsBuilder(1);
  feed(builder, 100, [PRESENT | 7n]);
  feed(builder, 101, [PRESENT | 8n]);
  feed(builder, 200, [PRESENT | 9n]);
  expect(builder.rows().runCount).toBe(2);
  expect([...builder.rows().pfn]).toEqual([7, 8, 9]);
});

test('tells swap slots from migration entries and guard pages', () => {
  const builder = new PageRowsBuilder();
  const slot = (type: bigint, offset: bigint): bigint => SWAPPED | (offset << 5n) | type;
  const deep = 2n ** 40n + 5n;
  feed(builder, 10, [slot(2n, 3n), slot(1n, deep), slot(30n, 3n), GUARD | SWAPPED, PRESENT | 1n]);
  expect([...builder.swapEntries()]).toEqual([2 * 2 ** 44 + 3, 2 ** 44 + 2 ** 40 + 5]);
  expect([...builder.swapVpns()]).toEqual([10, 11]);
  expect(builder.specialEntries).toBe(2);
  expect(builder.length).toBe(1);
});

test('leaves out device memory beyond 16 TiB', () => {
  const builder = new PageRowsBuilder();
  feed(builder, 1, [PRESENT | (2n ** 40n), PRESENT | 0xffff_ffffn]);
  expect([...builder.rows().pfn]).toEqual([0xffff_ffff]);
  expect(builder.skippedPages).toBe(1);
});

test('notices a frame at two neighbouring addresses: the zero page does that', () => {
  const builder = new PageRowsBuilder();
  feed(builder, 1, [PRESENT | 5n, PRESENT | 6n, PRESENT | 6n, HOLE, PRESENT | 9n]);
  feed(builder, 6, [PRESENT | 9n]);
  expect([...builder.repeatedPfns]).toEqual([6, 9]);
});

test('counts pages that differ between two readings', () => {
  const before = rowsOf(10, [PRESENT | 1n, PRESENT | 2n, HOLE, PRESENT | 4n]);
  expect(differingPages(before, before)).toBe(0);
  // One moved, one went, one came.
  const after = rowsOf(10, [PRESENT | 1n, PRESENT | 9n, PRESENT | 3n]);
  expect(differingPages(before, after)).toBe(3);
  expect(differingPages(after, before)).toBe(3);
  expect(differingPages(before, rowsOf(0, []))).toBe(3);
});
