import { describe, expect, it } from 'vitest';
import { generateScenario } from '../src/check/generate/generate.js';
import type { ModeName } from '../src/check/generate/modes.js';
import { profileOf } from '../src/check/generate/profiles.js';
import { shrinkScenario } from '../src/check/shrink.js';
import { RmapError } from '../src/base/errors.js';
import { checkInvariants } from '../src/kernel/invariants/index.js';
import type { Kernel } from '../src/kernel/kernel.js';
import { Machine } from '../src/kernel/machine.js';
import type { Operation } from '../src/kernel/operation.js';
import { PTE_PRESENT, PTE_WRITE } from '../src/kernel/pgtable/pte.js';
import { walkEntries } from '../src/kernel/state/page_walk.js';

/** A wrong rule: what it does to the machine behind each operation of some kind. */
interface WrongRule {
  readonly name: string;
  readonly mode: ModeName;
  readonly behind: Operation['op'];
  readonly damage: (kernel: Kernel) => void;
  /** The invariant that must fire. */
  readonly fires: RegExp;
}

const WRONG_RULES: readonly WrongRule[] = [
  {
    name: 'fork leaves entries writable',
    mode: 'small',
    behind: 'fork',
    damage(kernel) {
      for (const mm of kernel.mms) {
        for (const vma of mm.vmas) {
          if (vma.anonVma === undefined || vma.file !== undefined) continue;
          walkEntries(kernel, vma, (entry) => {
            const isPresent = (kernel.pageTables.flags[entry] & PTE_PRESENT) !== 0;
            const isZero = kernel.pageTables.payload[entry] === kernel.memory.zeroPfn;
            if (isPresent && !isZero) kernel.pageTables.flags[entry] |= PTE_WRITE;
          });
        }
      }
    },
    fires: /invariant exclusive\./,
  },
  {
    name: 'fork forgets to count the child of an anon_vma',
    mode: 'merge',
    behind: 'fork',
    damage(kernel) {
      const forked = kernel.anonVmas.find((one) => one.refcount > 0 && one.parent !== one);
      if (forked !== undefined) forked.parent.childCount -= 1;
    },
    fires: /invariant anon-vma\./,
  },
  {
    name: 'a move gives the VMA the page offset of its new place',
    mode: 'merge',
    behind: 'mremap',
    damage(kernel) {
      for (const mm of kernel.mms) {
        for (const vma of mm.vmas) {
          if (vma.anonVma !== undefined && vma.pgoff !== vma.start) vma.pgoff = vma.start;
        }
      }
    },
    fires: /invariant (reach|anon-vma|vma)\./,
  },
];

/** Message of the first broken invariant, or undefined. */
function brokenInvariant(operations: readonly Operation[], rule: WrongRule): string | undefined {
  const machine = new Machine({ profile: profileOf('default', rule.mode) });
  try {
    for (const operation of operations) {
      machine.apply(operation);
      if (operation.op === rule.behind) rule.damage(machine.kernel);
      checkInvariants(machine.kernel);
    }
    return undefined;
  } catch (error) {
    if (error instanceof RmapError && error.code === 'bug') return error.message;
    throw error;
  }
}

describe('random scenarios with all invariants on', () => {
  it.each(WRONG_RULES)('find a wrong rule: $name', (rule) => {
    for (let seed = 1; seed <= 30; seed += 1) {
      const operations = generateScenario({ seed, mode: rule.mode, operationCount: 30 });
      const message = brokenInvariant(operations, rule);
      if (message === undefined) continue;
      expect(message).toMatch(rule.fires);
      const shrunk = shrinkScenario(operations, (candidate) => {
        return brokenInvariant(candidate, rule) !== undefined;
      });
      expect(shrunk.operations.length).toBeLessThanOrEqual(6);
      expect(shrunk.operations.map(({ op }) => op)).toContain(rule.behind);
      return;
    }
    expect.unreachable('no scenario found it');
  });

  it('find nothing in the engine as it is', () => {
    const modes: readonly ModeName[] = ['small', 'merge', 'ksmzero', 'swap', 'uffd'];
    const none: WrongRule = {
      name: '',
      mode: 'mixed',
      behind: 'compact',
      damage: () => undefined,
      fires: /./,
    };
    for (const mode of modes) {
      for (let seed = 100; seed < 112; seed += 1) {
        const operations = generateScenario({ seed, mode, operationCount: 25 });
        expect(brokenInvariant(operations, none)).toBeUndefined();
      }
    }
  });
});
