import { IntervalTree as NodeIntervalTree } from 'node-interval-tree';
import { IntervalTree as FlattenIntervalTree } from '@flatten-js/interval-tree';
import { IntervalPool } from '#rmap/base/interval_tree.js';
import { type Benchmark, mix, type Trial, type Variant } from './harness.js';

/** Intervals as an anon_vma holds them: page ranges of 1 to 16 pages over a sparse space. */
interface Ranges {
  readonly start: Float64Array;
  readonly last: Float64Array;
}

/** Ascending as a fork inserts them (and as the budget was measured), or in random order. */
type Order = 'ascending' | 'random';

/** Intervals in the tree, or at the end of insertion. */
const INTERVALS = 100_000;
/** Of a full tree in random order one in five has its turn: the other trees take seconds for all. */
const RANDOM_SHARE = 5;
const QUERY_LENGTH_PAGES = 400;

/** Ranges of a small linear congruential generator: the same in every run. */
function makeRanges(count: number, order: Order): Ranges {
  const start = new Float64Array(count);
  const last = new Float64Array(count);
  let state = 0x5eed;
  const next = (bound: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  // About 60 pages of space for each interval: a query of 400 pages hits seven.
  for (let i = 0; i < count; i++) {
    start[i] = order === 'ascending' ? i * 60 : next(count * 60);
    last[i] = (start[i] ?? 0) + next(16);
  }
  return { start, last };
}

interface Tree {
  insert(index: number, start: number, last: number): void;
  remove(index: number, start: number, last: number): void;
  /** Sum of the starts of the intervals that overlap [first, last]. */
  query(first: number, last: number): number;
}

function ours(count: number): Tree {
  const pool = new IntervalPool();
  const tree = IntervalPool.tree();
  const rows = new Int32Array(count);
  return {
    insert(index, start, last) {
      const row = pool.alloc();
      rows[index] = row;
      pool.insert(tree, row, start, last);
    },
    remove(index) {
      const row = rows[index] ?? -1;
      pool.remove(tree, row);
      pool.free(row);
    },
    query(first, last) {
      let sum = 0;
      let row = pool.iterFirst(tree, first, last);
      while (row !== -1) {
        sum += pool.start[row] ?? 0;
        row = pool.iterNext(row, first, last);
      }
      return sum;
    },
  };
}

function nodeIntervalTree(): Tree {
  const tree = new NodeIntervalTree<{ low: number; high: number; index: number }>();
  return {
    insert: (index, low, high) => void tree.insert({ low, high, index }),
    remove: (index, low, high) => void tree.remove({ low, high, index }),
    query: (first, last) => tree.search(first, last).reduce((sum, { low }) => sum + low, 0),
  };
}

function flattenIntervalTree(): Tree {
  const tree = new FlattenIntervalTree<number>();
  return {
    insert: (index, low, high) => void tree.insert([low, high], index),
    remove: (index, low, high) => void tree.remove([low, high], index),
    query: (first, last) => {
      let sum = 0;
      tree.search([first, last], (_value: number, key: { low: unknown }) => {
        sum += Number(key.low);
        return true;
      });
      return sum;
    },
  };
}

/** Work on the first `count` of the ranges. */
type Work = (tree: Tree, ranges: Ranges, count: number) => number;

/** A part of the tree that proves that it is there, too small to be seen in the time. */
function sample(tree: Tree): number {
  return tree.query(5000, 10_000);
}

function insertRanges(tree: Tree, { start, last }: Ranges, count: number): number {
  for (let i = 0; i < count; i++) tree.insert(i, start[i] ?? 0, last[i] ?? 0);
  return sample(tree);
}

function removeRanges(tree: Tree, { start, last }: Ranges, count: number): number {
  for (let i = 0; i < count; i++) tree.remove(i, start[i] ?? 0, last[i] ?? 0);
  return sample(tree);
}

function queryRanges(tree: Tree, { start }: Ranges, count: number): number {
  let hash = 0;
  for (let i = 0; i < count; i++) {
    const first = start[i] ?? 0;
    hash = mix(hash, tree.query(first, first + QUERY_LENGTH_PAGES));
  }
  return hash;
}

interface Plan {
  readonly name: string;
  readonly item: string;
  readonly maxNsPerItem: number;
  /** Whether the tree is full when the work starts. */
  readonly isFull: boolean;
  /** Whether the work changes the tree, so that every round needs a new one. */
  readonly isChanged: boolean;
  readonly work: Work;
}

/** How many intervals are in the tree for each that has its turn. */
function intervalsPerItem(plan: Plan, order: Order): number {
  return plan.isFull && order === 'random' ? RANDOM_SHARE : 1;
}

function setupOf(makeTree: (count: number) => Tree, plan: Plan, order: Order) {
  return (size: number): Trial => {
    const intervals = size * intervalsPerItem(plan, order);
    const ranges = makeRanges(intervals, order);
    let tree: Tree | undefined;
    return {
      prepare() {
        if (!plan.isChanged && tree !== undefined) return;
        tree = makeTree(intervals);
        if (plan.isFull) insertRanges(tree, ranges, intervals);
      },
      run: () => (tree === undefined ? 0 : plan.work(tree, ranges, size)),
    };
  };
}

function benchmark(plan: Plan, order: Order): Benchmark {
  const variant = (name: string, makeTree: (count: number) => Tree): Variant => ({
    name,
    setup: setupOf(makeTree, plan, order),
  });
  return {
    name: `interval tree of 10^5: ${plan.name}, ${order}`,
    item: plan.item,
    sizes: [INTERVALS / intervalsPerItem(plan, order)],
    smokeSize: 500,
    sameResult: true,
    variants: [
      variant('rmap', ours),
      variant('node-interval-tree', nodeIntervalTree),
      variant('@flatten-js/interval-tree', flattenIntervalTree),
    ],
    budget: {
      minTimesFaster: 10,
      ...(order === 'ascending' ? { maxNsPerItem: plan.maxNsPerItem } : {}),
    },
  };
}

/** Times: twice those of the kernel's own tree in C (150, 45 and 350 ns). */
const PLANS: readonly Plan[] = [
  {
    name: 'insert',
    item: 'insert',
    maxNsPerItem: 300,
    isFull: false,
    isChanged: true,
    work: insertRanges,
  },
  {
    name: 'remove',
    item: 'remove',
    maxNsPerItem: 90,
    isFull: true,
    isChanged: true,
    work: removeRanges,
  },
  {
    name: 'query with 7 hits',
    item: 'query',
    maxNsPerItem: 700,
    isFull: true,
    isChanged: false,
    work: queryRanges,
  },
];

export const intervalTreeBenchmarks: readonly Benchmark[] = PLANS.flatMap((plan) => [
  benchmark(plan, 'ascending'),
  benchmark(plan, 'random'),
]);
