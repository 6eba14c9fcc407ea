/**
 * Goal: pages that appear when first asked for are what they would be had each been made at once.
 * Method: random changes of an address space, beside a plain map with a row for every page.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ShadowMm } from './shadow_mm.js';
import { ShadowFile } from './shadow_page.js';

const PAGES = 24;
/** Moves go behind everything else: the two ranges never overlap. */
const MOVED_TO = 2 * PAGES;

/** What is known of a page: its place in the file, and what the process wrote. */
interface Row {
  readonly index: number;
  readonly own: number | undefined;
}

const file = new ShadowFile(1);

function rowsOf(mm: ShadowMm): Array<Row | undefined> {
  return Array.from({ length: MOVED_TO + 2 * PAGES }, (_, at) => {
    const page = mm.page(at);
    return page === undefined ? undefined : { index: page.index, own: page.own };
  });
}

/** The same address space twice. */
class Pair {
  mm = new ShadowMm();
  rows = new Map<number, Row>();

  map(at: number, n: number, index: number): void {
    const end = at + n;
    this.mm.map({ start: at, end, file, index, isShared: false, unitPages: 1 });
    for (let i = 0; i < n; i += 1) this.rows.set(at + i, { index: index + i, own: undefined });
  }

  unmap(at: number, n: number): void {
    this.mm.unmap(at, n);
    for (let i = at; i < at + n; i += 1) this.rows.delete(i);
  }

  write(at: number, value: number): void {
    this.mm.page(at)?.write(value);
    const row = this.rows.get(at);
    if (row !== undefined) this.rows.set(at, { ...row, own: value });
  }

  move(at: number, n: number, newLength: number, isKept: boolean): void {
    this.mm.move(at, n, MOVED_TO, newLength, isKept);
    const last = this.rows.get(at + Math.max(n, 1) - 1);
    const old = Array.from({ length: n }, (_, i) => this.rows.get(at + i));
    for (const [i, row] of old.entries()) {
      this.rows.delete(at + i);
      if (row === undefined || i >= newLength) continue;
      this.rows.set(MOVED_TO + i, row);
      if (isKept) this.rows.set(at + i, { ...row, own: undefined });
    }
    if (last === undefined) return;
    for (let i = n; i < newLength; i += 1) {
      const index = last.index + i - n + (n === 0 ? 0 : 1);
      this.rows.set(MOVED_TO + i, { index, own: undefined });
    }
  }

  retain(at: number, n: number): void {
    this.mm.retain([{ start: at, end: at + n }]);
    for (const i of this.rows.keys()) if (i < at || i >= at + n) this.rows.delete(i);
  }

  /** Goes on as a child that got a part, whose parent writes to all it has. */
  fork(at: number, n: number): void {
    const child = new ShadowMm();
    child.inherit(this.mm, at, n);
    for (const i of this.rows.keys()) this.mm.page(i)?.write(1000);
    this.mm = child;
    this.rows = new Map([...this.rows].filter(([i]) => i >= at && i < at + n));
  }
}

const change = fc.record({
  kind: fc.constantFrom('map', 'map', 'write', 'write', 'unmap', 'move', 'retain', 'fork'),
  at: fc.nat(PAGES),
  n: fc.nat(PAGES),
  other: fc.nat(PAGES),
});

it('pages that appear late are what they would have been', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
      const pair = new Pair();
      for (const { kind, at, n, other } of changes) {
        if (kind === 'map') pair.map(at, n, other);
        else if (kind === 'unmap') pair.unmap(at, n);
        else if (kind === 'write') pair.write(at, other);
        else if (kind === 'move') pair.move(at, n, other, n % 2 === 0);
        else if (kind === 'retain') pair.retain(at, n);
        else pair.fork(at, n);
      }
      const expected = rowsOf(new ShadowMm()).map((_, at) => pair.rows.get(at));
      expect(rowsOf(pair.mm)).toEqual(expected);
    }),
    { seed: 11, numRuns: 1000 },
  );
});

it('a place that no operation made is stack', () => {
  const mm = new ShadowMm();
  expect(mm.page(5)).toBeUndefined();
  mm.pageOrStack(5).write(7);
  mm.move(5, 1, 9, 2, false);
  expect([mm.page(5), mm.page(9)?.own, mm.page(10)?.own]).toEqual([undefined, 7, undefined]);
  expect([...mm.knownPages()].map(([at]) => at)).toEqual([9, 10]);
});
