/**
 * Goal: any two operations at once leave a machine on which every invariant holds. Method: random
 * scenarios; the last two operations run at once, each interrupted at each of its points in turn.
 * What a page holds is not asked: which of two writes came last, no oracle knows.
 */
import { describe, expect, test } from 'vitest';
import { findViolations } from '../../kernel/invariants/index.js';
import { Machine } from '../../kernel/machine.js';
import type { Operation } from '../../kernel/operation.js';
import { generateScenario } from '../generate/generate.js';
import { MODE_NAMES, type ModeName } from '../generate/modes.js';
import { explorePair, type PairStart } from './explore_pair.js';

const SEEDS_PER_MODE = 3;
const OPERATIONS = 14;
/** Long operations, scans of ksmd above all, are interrupted at their first points only. */
const MOST_ORDERS = 60;

/** Changes of settings come before the two. */
const NOT_PAIRED: ReadonlySet<Operation['op']> = new Set([
  'config',
  'dump',
  'drain',
  'file',
  'memcg',
  'swapon',
]);

interface Pair {
  readonly setUp: readonly Operation[];
  readonly one: Operation;
  readonly other: Operation;
}

/** Undefined where the two cannot run at once: a process that ends has no other threads here. */
function pairOf(seed: number, mode: ModeName): Pair | undefined {
  const scenario = generateScenario({ seed, mode, operationCount: OPERATIONS });
  const paired = scenario.filter(({ op }) => !NOT_PAIRED.has(op));
  const [one, other] = paired.slice(-2);
  if (other === undefined) return undefined;
  const ends = [one, other].some(({ op }) => op === 'exit' || op === 'exec');
  if (ends && 'p' in one && 'p' in other && one.p === other.p) return undefined;
  const behind = scenario.indexOf(other);
  const setUp = scenario.slice(0, behind).filter((operation) => operation !== one);
  return { setUp, one, other };
}

function start({ setUp }: Pair, first: Operation, second: Operation): PairStart {
  const machine = new Machine({ profile: { memoryPages: 8192 }, regionStart: 0x1000000 });
  for (const operation of setUp) machine.apply(operation);
  return {
    first: machine.applyOp(first),
    second: machine.applyOp(second),
    problem: () => {
      const [broken] = findViolations(machine.kernel);
      return broken === undefined ? undefined : `${broken.id}: ${broken.problems[0]}`;
    },
  };
}

describe('two random operations at once', () => {
  test.each(MODE_NAMES)('in mode %s', (mode) => {
    let orders = 0;
    const problems: string[] = [];
    for (let seed = 1; seed <= SEEDS_PER_MODE; seed += 1) {
      const pair = pairOf(seed, mode);
      if (pair === undefined) continue;
      for (const [first, second] of [
        [pair.one, pair.other],
        [pair.other, pair.one],
      ] as const) {
        const outcome = explorePair(() => start(pair, first, second), MOST_ORDERS);
        orders += outcome.orders;
        const { problem, interruptedAt } = outcome;
        const where = `seed ${seed}: ${first.op} stopped at ${interruptedAt}, ${second.op}`;
        if (problem !== undefined) problems.push(`${where}: ${problem}`);
      }
    }
    expect(problems).toEqual([]);
    expect(orders).toBeGreaterThan(2);
  });
});
