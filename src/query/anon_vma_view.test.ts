import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { computeAnonVmas } from './anon_vma_view.js';
import type { AnonVmaReading } from './anon_vma_view.js';

/**
 * What Linux 6.18 held for a process (5283) that touched its memory and forked a child, which wrote
 * and forked again (5286) and ended: a statically linked program with six touched mappings.
 */
const sample = JSON.parse(
  readFileSync(new URL('../../test/data/chains/middle_died.json', import.meta.url), 'utf8'),
) as AnonVmaReading;

describe('a fork chain whose middle process died', () => {
  const view = computeAnonVmas(sample, [5283, 5286]);

  it('shows the dead ancestors in the process that keeps them', () => {
    expect(view.processes).toEqual([
      {
        pid: 5283,
        vmaCount: 12,
        anonVmaCount: 5,
        avcCount: 6,
        longestChain: 1,
        deadAncestorCount: 0,
        widestWalk: 4,
      },
      {
        pid: 5286,
        vmaCount: 12,
        anonVmaCount: 17,
        avcCount: 18,
        longestChain: 3,
        deadAncestorCount: 6,
        widestWalk: 4,
      },
    ]);
  });

  it('counts what is shared once in the total', () => {
    expect(view.total).toEqual({
      vmaCount: 24,
      anonVmaCount: 17,
      avcCount: 24,
      longestChain: 3,
      deadAncestorCount: 6,
      widestWalk: 4,
    });
    expect(view.kernelBytes).toBe(17 * 96 + 24 * 64);
  });
});

describe('computeAnonVmas', () => {
  const space = { pid: 1, mm: 0, vmas: 3, chains: [[1, 0, 0]] };

  it('counts an address space that two processes share once in the total', () => {
    const reading = { ...sample, processes: [space, { ...space, pid: 2 }], dead: [0] };
    const view = computeAnonVmas(reading, [2, 1]);
    expect(view.processes.map(({ pid }) => pid)).toEqual([2, 1]);
    expect(view.total).toMatchObject({ vmaCount: 3, avcCount: 1, widestWalk: 1 });
  });

  it('takes the length of a chain that is not listed to its end', () => {
    const processes = [{ ...space, chains: [[5000, 1, 1, 0]] }];
    const view = computeAnonVmas({ ...sample, processes, dead: [1, 0] }, [1]);
    expect(view.total).toMatchObject({ longestChain: 5000, avcCount: 5000, deadAncestorCount: 1 });
  });

  it('leaves out processes that were gone when it looked', () => {
    expect(computeAnonVmas({ ...sample, processes: [], dead: [] }, [7]).processes).toEqual([]);
  });
});
