import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adapted, beginSwapping, swapOperations } from '../../../test/support/swap_steps.js';
import type { Machine } from '../machine.js';
import { TlbModel } from '../rmap/tlb_model.js';
import { swapProblems } from '../swap/swap_claims.js';

/** Everything that reclaim decides: the state, the slots, the lists, the work done. */
function outcomeOf(machine: Machine): unknown {
  const { kernel } = machine;
  const slots = [...kernel.mms].map((mm) =>
    mm.vmas.map((vma) =>
      Array.from({ length: vma.lengthPages }, (_, i) => {
        const entry = kernel.pageTables.findPte(mm.pgd, vma.start + i);
        return entry < 0 ? -1 : kernel.pageTables.payload[entry];
      }),
    ),
  );
  const lists = [...kernel.lru.head].map((first) => {
    const members: number[] = [];
    for (let head = first; head >= 0; head = kernel.memory.next[head]) members.push(head);
    return members;
  });
  return { state: machine.state(), slots, lists, work: kernel.work, stats: kernel.stats };
}

describe('folios that are reclaimed together', () => {
  it('end like folios that are walked one by one', () => {
    fc.assert(
      fc.property(swapOperations, (steps) => {
        const together = beginSwapping('zram', false, false);
        const alone = beginSwapping('zram', false, false);
        // A model of TLBs wants each folio walked by itself.
        alone.kernel.tlb = new TlbModel();
        for (const wanted of steps) {
          const operation = adapted(together, wanted);
          if (operation === undefined) continue;
          expect(together.apply(operation)).toEqual(alone.apply(operation));
        }
        expect(outcomeOf(together)).toEqual(outcomeOf(alone));
        expect(swapProblems(together.kernel)).toEqual([]);
      }),
      { seed: 9, numRuns: 60 },
    );
  });

  it('keep the slots in order of their addresses', () => {
    const machine = beginSwapping('zram', false, false);
    machine.apply({ op: 'madvise', p: 0, at: 8, n: 8, advice: 'pageout' });
    machine.apply({ op: 'madvise', p: 0, at: 0, n: 4, advice: 'pageout' });
    const runs = machine.state().procs['0'].vmas[0].pages.filter((run) => run.k === 'swap');
    expect(runs.map(({ at, n, slot }) => [at, n, slot])).toEqual([
      [0, 4, 0],
      [8, 8, 4],
    ]);
    expect(machine.kernel.swap.devices[0]?.usedSlots).toBe(12);
  });

  it('leave out what a locked VMA maps, in every process', () => {
    const machine = beginSwapping('zram', false, false);
    machine.apply({ op: 'fork', p: 0, c: 1 });
    machine.apply({ op: 'mprotect', p: 1, at: 0, n: 64, prot: 'r' });
    machine.apply({ op: 'mlock', p: 1, at: 2, n: 2 });
    machine.kernel.memory.memcg.fill(1);
    machine.apply({ op: 'reclaim' });
    const { pages } = machine.state().procs['0'].vmas[0];
    expect(pages.filter((run) => run.k === 'page').map(({ at, n }) => [at, n])).toEqual([
      [2, 1],
      [3, 1],
    ]);
  });
});
