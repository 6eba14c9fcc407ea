import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkIntervalTree } from './interval_tree_check.js';
import { IntervalPool } from './interval_tree.js';
import { NIL } from './units.js';

interface Interval {
  readonly row: number;
  readonly start: number;
  readonly last: number;
}

/** The same by brute force: an array in tree order. */
class SlowTree {
  readonly intervals: Interval[] = [];

  insert(interval: Interval): void {
    const behind = this.intervals.findIndex(({ start }) => start > interval.start);
    this.intervals.splice(behind === -1 ? this.intervals.length : behind, 0, interval);
  }

  insertAfter(interval: Interval, previous: Interval): void {
    this.intervals.splice(this.intervals.indexOf(previous) + 1, 0, interval);
  }

  remove(interval: Interval): void {
    this.intervals.splice(this.intervals.indexOf(interval), 1);
  }

  query(first: number, last: number): number[] {
    return this.intervals
      .filter((interval) => interval.start <= last && interval.last >= first)
      .map(({ row }) => row);
  }
}

function query(
  pool: IntervalPool,
  tree: ReturnType<typeof IntervalPool.tree>,
  first: number,
  last: number,
): number[] {
  const rows: number[] = [];
  let row = pool.iterFirst(tree, first, last);
  while (row !== NIL) {
    rows.push(row);
    row = pool.iterNext(row, first, last);
  }
  return rows;
}

function inOrder(pool: IntervalPool, tree: ReturnType<typeof IntervalPool.tree>): number[] {
  const rows: number[] = [];
  for (let row = pool.firstRow(tree); row !== NIL; row = pool.nextRow(row)) rows.push(row);
  return rows;
}

const position = fc.nat({ max: 40 });
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('insert'), a: position, b: position }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('after'), a: position, b: position }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('remove'), a: position, b: position }) },
);

describe('IntervalPool', () => {
  it('does what an array in order does, for any sequence of operations', () => {
    const run = (steps: ReadonlyArray<{ kind: string; a: number; b: number }>): void => {
      const pool = new IntervalPool();
      const tree = IntervalPool.tree();
      const slow = new SlowTree();
      for (const { kind, a, b } of steps) {
        const chosen = slow.intervals[a % Math.max(1, slow.intervals.length)];
        if (kind === 'insert') {
          const interval = { row: pool.alloc(), start: a, last: a + b };
          pool.insert(tree, interval.row, interval.start, interval.last);
          slow.insert(interval);
        } else if (chosen !== undefined && kind === 'after') {
          const interval = { row: pool.alloc(), start: chosen.start, last: chosen.start + b };
          pool.insertAfter(tree, interval.row, chosen.row, interval.last);
          slow.insertAfter(interval, chosen);
        } else if (chosen !== undefined && kind === 'remove') {
          pool.remove(tree, chosen.row);
          pool.free(chosen.row);
          slow.remove(chosen);
        }
        const last = a + Math.floor(b / 4);
        expect(query(pool, tree, a, last)).toEqual(slow.query(a, last));
        expect(checkIntervalTree(pool, tree)).toBeUndefined();
        expect(inOrder(pool, tree)).toEqual(slow.intervals.map(({ row }) => row));
      }
    };
    fc.assert(fc.property(fc.array(step, { maxLength: 120 }), run), { seed: 1, numRuns: 300 });
  });

  it('answers the example of the specification', () => {
    const pool = new IntervalPool();
    const tree = IntervalPool.tree();
    const a = pool.alloc();
    const b = pool.alloc();
    const c = pool.alloc();
    pool.insert(tree, a, 0, 9);
    pool.insert(tree, b, 4, 4);
    pool.insert(tree, c, 8, 20);
    expect(query(pool, tree, 5, 8)).toEqual([a, c]);
    expect(query(pool, tree, 10, 10)).toEqual([c]);
    expect(query(pool, tree, 21, 30)).toEqual([]);
  });

  it('keeps several trees in one pool apart', () => {
    const pool = new IntervalPool();
    const even = IntervalPool.tree();
    const odd = IntervalPool.tree();
    for (let i = 0; i < 200; i += 1) pool.insert(i % 2 === 0 ? even : odd, pool.alloc(), i, i);
    expect(inOrder(pool, even)).toHaveLength(100);
    expect(query(pool, odd, 10, 14)).toEqual([11, 13]);
    expect(checkIntervalTree(pool, even) ?? checkIntervalTree(pool, odd)).toBeUndefined();
  });

  it('looks at few nodes of a large tree', () => {
    const pool = new IntervalPool();
    const tree = IntervalPool.tree();
    for (let i = 0; i < 100_000; i += 1) pool.insert(tree, pool.alloc(), i * 10, i * 10 + 4);
    pool.visited = 0;
    expect(query(pool, tree, 500_000, 500_029)).toHaveLength(3);
    expect(pool.visited).toBeLessThan(60);
  });

  it('takes page offsets that need more than 32 bits', () => {
    const pool = new IntervalPool();
    const tree = IntervalPool.tree();
    const row = pool.alloc();
    pool.insert(tree, row, 2 ** 36, 2 ** 36 + 5);
    expect(query(pool, tree, 2 ** 36 + 5, 2 ** 40)).toEqual([row]);
    expect(query(pool, tree, 0, 2 ** 36 - 1)).toEqual([]);
  });

  it('says what is wrong with a key that was changed in place', () => {
    const pool = new IntervalPool();
    const tree = IntervalPool.tree();
    for (let i = 0; i < 8; i += 1) pool.insert(tree, pool.alloc(), i, i);
    pool.start[3] = 100;
    expect(checkIntervalTree(pool, tree)).toMatch(/row \d+ starts/);
    pool.start[3] = 3;
    pool.last[5] = 50;
    expect(checkIntervalTree(pool, tree)).toMatch(/subtree last/);
  });

  it('says which rows have lost their neighbour', () => {
    const pool = new IntervalPool();
    const tree = IntervalPool.tree();
    for (let i = 0; i < 8; i += 1) pool.insert(tree, pool.alloc(), i, i);
    pool.successor[2] = 4;
    expect(checkIntervalTree(pool, tree)).toBe('row 2 is not followed by row 3');
    pool.successor[2] = 3;
    pool.predecessor[5] = 3;
    expect(checkIntervalTree(pool, tree)).toBe('row 5 does not follow row 4');
    pool.predecessor[5] = 4;
    pool.successor[7] = 0;
    expect(checkIntervalTree(pool, tree)).toBe('row 7 is followed by none of its tree');
    pool.successor[7] = NIL;
    tree.lastRow = 6;
    expect(checkIntervalTree(pool, tree)).toBe('the tree ends with row 7, not 6');
    expect(checkIntervalTree(pool, { ...IntervalPool.tree(), lastRow: 7 })).toBe(
      'an empty tree ends with row 7',
    );
  });

  it('says what is wrong with what the last search is said to have found', () => {
    const pool = new IntervalPool();
    const tree = IntervalPool.tree();
    for (let i = 0; i < 8; i += 1) pool.insert(tree, pool.alloc(), i * 10, i * 10 + 5);
    expect(query(pool, tree, 40, 41)).toEqual([4]);
    expect(tree).toMatchObject({ hintRow: 4, hintFirst: 40 });
    tree.hintRow = 5;
    expect(checkIntervalTree(pool, tree)).toBe('row 4 ends behind 40, before row 5');
    tree.hintRow = 8;
    tree.hintFirst = 100;
    expect(checkIntervalTree(pool, tree)).toBe('row 8 is not in the tree that remembers it');
  });

  it('goes on where the last search ended', () => {
    const pool = new IntervalPool();
    const tree = IntervalPool.tree();
    for (let i = 0; i < 1000; i += 1) pool.insert(tree, pool.alloc(), i * 10, i * 10 + 4);
    query(pool, tree, 500, 504);
    pool.visited = 0;
    expect(query(pool, tree, 510, 514)).toEqual([51]);
    expect(query(pool, tree, 515, 519)).toEqual([]);
    expect(query(pool, tree, 520, 530)).toEqual([52, 53]);
    expect(pool.visited).toBe(0);
    // Neither backwards nor far ahead.
    expect(query(pool, tree, 100, 104)).toEqual([10]);
    expect(pool.visited).toBeGreaterThan(5);
    expect(query(pool, tree, 9990, 9999)).toEqual([999]);
  });
});
