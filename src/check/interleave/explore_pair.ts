import type { Op } from '../../kernel/op/prims.js';
import { CpuTask } from './cpu_task.js';

/** Two operations that are about to begin, on a state of their own. */
export interface PairStart {
  readonly first: Op<unknown>;
  readonly second: Op<unknown>;
  /** What is wrong when both are done, or undefined. */
  readonly problem: () => string | undefined;
}

/** What the orders of a pair came to. */
export interface PairOutcome {
  /** Orders that were tried: at which of its points the first was interrupted. */
  readonly orders: number;
  /** The first problem, and the point; undefined if there is none. */
  readonly problem: string | undefined;
  readonly interruptedAt: number;
}

/**
 * Runs two operations at once in every order that one interruption allows: the first stops at its
 * n-th point for every n, the second runs until it is done or must wait, and then they take turns.
 * Ends at the first order that leaves a problem: an invariant, an exception, or that both wait.
 *
 * @param start Called once for each order.
 * @param mostOrders Orders to try at most.
 */
export function explorePair(start: () => PairStart, mostOrders: number): PairOutcome {
  for (let interruptedAt = 1; interruptedAt <= mostOrders; interruptedAt += 1) {
    const pair = start();
    const first = new CpuTask(pair.first);
    let problem: string | undefined;
    let isLast = false;
    try {
      for (let points = 0; points < interruptedAt && !first.isStopped; points += 1) first.step();
      isLast = first.isStopped;
      problem = finishBoth(first, new CpuTask(pair.second)) ?? pair.problem();
    } catch (error) {
      problem = error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
    if (problem !== undefined || isLast) return { orders: interruptedAt, problem, interruptedAt };
  }
  return { orders: mostOrders, problem: undefined, interruptedAt: mostOrders };
}

/** The second goes first. Returns what they wait for if neither can go on. */
function finishBoth(first: CpuTask<unknown>, second: CpuTask<unknown>): string | undefined {
  while (!first.isDone || !second.isDone) {
    if (first.isStopped && second.isStopped) {
      return `deadlock: the first waits for ${waitsFor(first)}, the second for ${waitsFor(second)}`;
    }
    second.go();
    first.go();
  }
  return undefined;
}

function waitsFor({ pending, isDone }: CpuTask<unknown>): string {
  if (isDone) return 'nothing';
  return typeof pending?.object === 'object' ? pending.object.name : 'nothing';
}
