import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  adapted,
  beginSwapping,
  PAGES,
  REGION_START,
  swapOperations,
} from '../../../test/support/swap_steps.js';
import { Machine } from '../machine.js';
import type { Operation } from '../operation.js';
import { swapProblems } from './swap_claims.js';

function isReclaim(operation: Operation): boolean {
  return (
    operation.op === 'reclaim' || (operation.op === 'madvise' && operation.advice === 'pageout')
  );
}

describe('any sequence of operations on swapped memory', () => {
  it.each([
    ['zram', false, false],
    ['zram', true, false],
    ['file', false, false],
    ['zram', false, true],
  ] as const)('on %s (large folios %s, shmem %s) keeps every count', (kind, mthp, shared) => {
    fc.assert(
      fc.property(swapOperations, (steps) => {
        const machine = beginSwapping(kind, mthp, shared);
        for (const wanted of steps) {
          const operation = adapted(machine, wanted);
          if (operation === undefined) continue;
          machine.apply(operation);
          const problems = swapProblems(machine.kernel);
          if (problems.length > 0) throw new Error(`after ${operation.op}: ${problems[0]}`);
        }
        expect(machine.apply({ op: 'swapoff' }).ret).toBe(0);
        expect(swapProblems(machine.kernel)).toEqual([]);
      }),
      { seed: 5, numRuns: 15 },
    );
  });

  it('loses no word: a machine without swap reads the same', () => {
    fc.assert(
      fc.property(swapOperations, (steps) => {
        const swapping = beginSwapping('zram', false, false);
        const plain = new Machine({ profile: { memoryPages: 4096 }, regionStart: REGION_START });
        plain.apply({ op: 'mmap', p: 0, at: 0, n: PAGES, prot: 'rw', flags: 'private|anon' });
        plain.apply({ op: 'write', p: 0, at: 0, n: PAGES, v: 9 });
        const seen: Array<readonly [unknown, unknown]> = [];
        for (const wanted of steps) {
          const operation = adapted(swapping, wanted);
          if (operation === undefined) continue;
          if (operation.op === 'madvise' && operation.advice === 'free') continue;
          const { vals } = swapping.apply(operation);
          if (isReclaim(operation)) continue;
          const expected = plain.apply(operation).vals;
          if (operation.op === 'read') seen.push([vals, expected]);
        }
        expect(seen.map(([vals]) => vals)).toEqual(seen.map(([, expected]) => expected));
      }),
      { seed: 6, numRuns: 40 },
    );
  });
});
