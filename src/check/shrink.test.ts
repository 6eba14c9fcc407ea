import { describe, expect, it } from 'vitest';
import type { Operation } from '../kernel/operation.js';
import { Machine } from '../kernel/machine.js';
import { generateScenario } from './generate/generate.js';
import { shrinkScenario } from './shrink.js';

const MEMORY = { memoryPages: 4096 };

/** Whether some page is a swap entry at the end. */
function swapsOut(operations: readonly Operation[]): boolean {
  const machine = new Machine({ profile: MEMORY });
  for (const operation of operations) machine.apply(operation);
  const vmas = Object.values(machine.state().procs).flatMap((process) => process.vmas);
  return vmas.some(({ pages }) => pages.some(({ k }) => k === 'swap'));
}

describe('shrinkScenario', () => {
  it('keeps what is needed and nothing else', () => {
    const scenarios = Array.from({ length: 20 }, (_, seed) =>
      generateScenario({ seed, mode: 'swap', operationCount: 40 }),
    ).filter(swapsOut);
    expect(scenarios.length).toBeGreaterThan(3);
    for (const scenario of scenarios) {
      const { operations, tests } = shrinkScenario(scenario, swapsOut);
      expect(swapsOut(operations)).toBe(true);
      expect(operations.length).toBeLessThanOrEqual(7);
      expect(operations.map(({ op }) => op)).toContain('swapon');
      expect(tests).toBeLessThan(600);
    }
  });

  it('makes ranges as short as they may be', () => {
    const scenario: Operation[] = [
      { op: 'mmap', p: 0, at: 16, n: 32, prot: 'rw', flags: 'private|anon|fixed|populate' },
      { op: 'write', p: 0, at: 20, n: 9, v: 1 },
    ];
    const { operations } = shrinkScenario(scenario, (candidate) =>
      candidate.some(({ op, ...rest }) => op === 'write' && covers(rest, 24)),
    );
    expect(operations).toEqual([{ op: 'write', p: 0, at: 24, n: 1, v: 1 }]);
  });

  it('stops when its tests are used up, with what it has', () => {
    const scenario = generateScenario({ seed: 1, mode: 'small', operationCount: 40 });
    const { operations, tests } = shrinkScenario(scenario, (all) => all.length > 10, {
      mostTests: 3,
    });
    expect(tests).toBe(3);
    expect(operations.length).toBeLessThan(scenario.length);
    expect(operations.length).toBeGreaterThan(10);
  });

  it('leaves a scenario alone of which nothing can go', () => {
    const scenario: Operation[] = [{ op: 'reclaim' }, { op: 'swapoff' }];
    const { operations } = shrinkScenario(scenario, (all) => all.length === 2);
    expect(operations).toEqual(scenario);
  });
});

function covers(range: object, page: number): boolean {
  if (!('at' in range && 'n' in range)) return false;
  const [at, n] = [Number(range.at), Number(range.n)];
  return at <= page && page < at + n;
}
