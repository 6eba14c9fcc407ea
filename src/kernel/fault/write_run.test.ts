/** Goal: writes that go together end exactly like writes that fault one by one. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { outcomeOf } from '../../../test/support/machine_outcome.js';
import { checkInvariants } from '../invariants/index.js';
import { Machine } from '../machine.js';
import type { Operation } from '../operation.js';

const PAGES = 1200;

/** Ranges that cross page tables and VMAs, in three processes. */
const range = fc.record({ at: fc.nat(PAGES - 1), n: fc.integer({ min: 1, max: 600 }) });
const process = fc.constantFrom(1, 2, 3);

const step: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: writes() },
  fc.record({ op: fc.constant('read' as const), p: process }).chain(inRange),
  fc.record({ op: fc.constant('fork' as const), p: process, c: process }),
  fc.record({
    op: fc.constant('vmsplice' as const),
    p: process,
    at: fc.nat(PAGES - 8),
    n: fc.integer({ min: 1, max: 8 }),
    id: fc.nat(99),
  }),
  fc.record({ op: fc.constant('exit' as const), p: fc.constantFrom(2, 3) }),
  advices(),
  fc
    .record({
      op: fc.constant('mprotect' as const),
      p: process,
      prot: fc.constantFrom('r', 'rw', 'n'),
    })
    .chain(inRange),
  fc.record({ op: fc.constant('munmap' as const), p: process }).chain(inRange),
  fc.record({ op: fc.constant('mlock' as const), p: process }).chain(inRange),
  fc.record({ op: fc.constant('ksm' as const), scans: fc.constant(2) }),
);

function inRange<T extends object>(part: T): fc.Arbitrary<T & { at: number; n: number }> {
  return range.map((pages) => ({ ...part, ...pages }));
}

function writes(): fc.Arbitrary<Operation> {
  return fc
    .record({ op: fc.constant('write' as const), p: process, v: fc.nat(2) })
    .chain((part) => inRange(part));
}

function advices(): fc.Arbitrary<Operation> {
  return fc
    .record({
      op: fc.constant('madvise' as const),
      p: process,
      advice: fc.constantFrom('dontneed', 'free', 'pageout', 'mergeable', 'hugepage', 'nohugepage'),
    })
    .chain((part) => inRange(part));
}

function begin(thp: string): Machine {
  const machine = new Machine({ profile: { memoryPages: 16_384 } });
  machine.apply({ op: 'swapon', kind: 'zram' });
  machine.apply({ op: 'config', key: 'thp', value: thp });
  machine.apply({ op: 'fork', p: 0, c: 1 });
  machine.apply({
    op: 'mmap',
    p: 1,
    at: 0,
    n: PAGES,
    prot: 'rw',
    flags: 'private|anon|fixed',
  });
  return machine;
}

/** A child needs a free number; a pipe must not be used twice. */
function makesSense(machine: Machine, operation: Operation, pipes: Set<number>): boolean {
  if (operation.op === 'vmsplice')
    return !pipes.has(operation.id) && pipes.add(operation.id).size > 0;
  return operation.op !== 'fork' || !machine.kernel.processes.has(operation.c);
}

describe('writes to neighbouring pages', () => {
  it('end like writes that fault one by one', () => {
    let inRuns = 0;
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 14 }),
        fc.constantFrom('never', 'madvise'),
        (steps, thp) => {
          const together = begin(thp);
          const alone = begin(thp);
          const pipes = new Set<number>();
          // Who listens to faults sees each of them.
          alone.kernel.tracer = {};
          for (const operation of steps) {
            if (!makesSense(together, operation, pipes)) continue;
            expect(together.apply(operation)).toEqual(alone.apply(operation));
          }
          expect(outcomeOf(together)).toEqual(outcomeOf(alone));
          checkInvariants(together.kernel);
          inRuns += together.kernel.work.faults;
        },
      ),
      { seed: 11, numRuns: 90 },
    );
    expect(inRuns).toBeGreaterThan(10_000);
  });

  it('take the last mapping away from a page that a pipe holds as one fault does', () => {
    const steps: readonly Operation[] = [
      { op: 'write', p: 1, at: 0, n: 20, v: 1 },
      { op: 'fork', p: 1, c: 2 },
      { op: 'vmsplice', p: 1, at: 4, n: 4, id: 1 },
      { op: 'exit', p: 2 },
      { op: 'write', p: 1, at: 0, n: 20, v: 2 },
    ];
    const together = begin('never');
    const alone = begin('never');
    alone.kernel.tracer = {};
    for (const operation of steps) {
      together.apply(operation);
      alone.apply(operation);
    }
    expect(together.kernel.work.pagesCopied).toBe(4);
    expect(outcomeOf(together)).toEqual(outcomeOf(alone));
  });

  it('stop where memory ends, and the rest is a signal', () => {
    const machine = new Machine({ profile: { memoryPages: 256 } });
    machine.apply({ op: 'fork', p: 0, c: 1 });
    const n = 512;
    machine.apply({ op: 'mmap', p: 1, at: 0, n, prot: 'rw', flags: 'private|anon|fixed' });
    const result = machine.apply({ op: 'write', p: 1, at: 0, n, v: 7 });
    expect(result.flt).toBeLessThan(256);
    expect(result.vals?.at(-1)).toEqual(['SEGV', n - (result.flt ?? 0)]);
    expect(machine.kernel.memory.freePages).toBe(0);
    checkInvariants(machine.kernel);
  });
});
