import { describe, expect, it } from 'vitest';
import { downWrite, RwSem, upWrite, writePoint, type Op } from '../../kernel/op/prims.js';
import { explorePair } from './explore_pair.js';

/** Takes both locks in the order given. */
function* lockBoth(a: RwSem, b: RwSem): Op<void> {
  yield* downWrite(a);
  yield* downWrite(b);
  yield* upWrite(b);
  yield* upWrite(a);
}

/** Adds one to a counter, unlocked: what it read may be old. */
function* increment(counter: { value: number }): Op<void> {
  const { value } = counter;
  yield* writePoint('counter', 0);
  counter.value = value + 1;
}

function twoOf(work: () => Op<void>): { first: Op<void>; second: Op<void> } {
  return { first: work(), second: work() };
}

describe('orders of two operations', () => {
  it('show a lost update', () => {
    const { problem, interruptedAt } = explorePair(() => {
      const counter = { value: 0 };
      const check = (): string | undefined => (counter.value === 2 ? undefined : 'lost');
      return { ...twoOf(() => increment(counter)), problem: check };
    }, 10);
    expect([problem, interruptedAt]).toEqual(['lost', 1]);
  });

  it('show a deadlock, with what each waits for', () => {
    const { problem, interruptedAt } = explorePair(() => {
      const [a, b] = [new RwSem('a'), new RwSem('b')];
      return { first: lockBoth(a, b), second: lockBoth(b, a), problem: () => undefined };
    }, 10);
    expect(problem).toBe('deadlock: the first waits for b, the second for a');
    expect(interruptedAt).toBe(2);
  });

  it('are as many as the first has points, where nothing is wrong', () => {
    const outcome = explorePair(() => {
      const [a, b] = [new RwSem('a'), new RwSem('b')];
      return { ...twoOf(() => lockBoth(a, b)), problem: () => undefined };
    }, 10);
    expect(outcome).toEqual({ orders: 5, problem: undefined, interruptedAt: 5 });
  });

  it('show an exception', () => {
    const { problem } = explorePair(() => {
      const a = new RwSem('a');
      return { first: upWrite(a), second: increment({ value: 0 }), problem: () => undefined };
    }, 10);
    expect(problem).toMatch(/a is released for write but not held/);
  });
});
