import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { REGION_START, VmScript } from '../../../test/support/vm_script.js';
import { vmaProblems } from '../../../test/support/vma_oracle.js';
import type { MadviseAdvice, Prot } from '../operation.js';
import {
  VM_DONTCOPY,
  VM_DONTDUMP,
  VM_EXEC,
  VM_READ,
  VM_SHARED,
  VM_WIPEONFORK,
  VM_WRITE,
} from './vm_flags.js';

const PAGES = 24;
const PROCESSES = 4;

/** What a process sees of one page. */
interface OraclePage {
  readonly flags: number;
  readonly value: number;
}

const COMPARED =
  VM_SHARED | VM_READ | VM_WRITE | VM_EXEC | VM_DONTCOPY | VM_WIPEONFORK | VM_DONTDUMP;

const PROT_BITS = new Map<Prot, number>([
  ['n', 0],
  ['r', VM_READ],
  ['rw', VM_READ | VM_WRITE],
  ['rwx', VM_READ | VM_WRITE | VM_EXEC],
]);

const ADVICE = new Map<MadviseAdvice, readonly [number, number]>([
  ['dontfork', [VM_DONTCOPY, 0]],
  ['dofork', [0, VM_DONTCOPY]],
  ['wipeonfork', [VM_WIPEONFORK, 0]],
  ['keeponfork', [0, VM_WIPEONFORK]],
  ['dontdump', [VM_DONTDUMP, 0]],
  ['dodump', [0, VM_DONTDUMP]],
]);

/** Every process as a map of pages: no VMAs, no sharing. */
class PageOracle {
  readonly processes = new Map<number, Map<number, OraclePage>>([[0, new Map()]]);

  pages(p: number): Map<number, OraclePage> {
    return this.processes.get(p) ?? new Map<number, OraclePage>();
  }

  change(p: number, at: number, n: number, change: (page: OraclePage) => OraclePage): void {
    const pages = this.pages(p);
    for (let page = at; page < at + n; page += 1) {
      const old = pages.get(page);
      if (old !== undefined) pages.set(page, change(old));
    }
  }

  move(p: number, at: number, n: number, to: number, isKept: boolean): void {
    const pages = this.pages(p);
    const moved = [...pages].filter(([page]) => page >= at && page < at + n);
    for (const [page, old] of moved) {
      if (isKept) pages.set(page, { ...old, value: 0 });
      else pages.delete(page);
    }
    for (const [page, old] of moved) pages.set(page + to - at, old);
  }

  fork(p: number, c: number): void {
    const child = new Map<number, OraclePage>();
    for (const [page, old] of this.pages(p)) {
      if ((old.flags & VM_DONTCOPY) !== 0) continue;
      child.set(page, (old.flags & VM_WIPEONFORK) === 0 ? old : { ...old, value: 0 });
    }
    this.processes.set(c, child);
  }
}

const page = fc.nat({ max: PAGES - 1 });
const range = { p: fc.nat({ max: PROCESSES - 1 }), at: page, n: fc.integer({ min: 1, max: 10 }) };
const prot = fc.constantFrom<Prot>('n', 'r', 'rw', 'rwx');
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constant('map' as const), ...range, prot }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('mapShared' as const), ...range }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('unmap' as const), ...range }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('protect' as const), ...range, prot }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constant('write' as const), ...range }) },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant('advise' as const),
      ...range,
      advice: fc.constantFrom(...ADVICE.keys()),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('drop' as const), ...range }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant('move' as const),
      ...range,
      to: page,
      isKept: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('grow' as const), ...range }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('lock' as const), ...range }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('unlock' as const), ...range }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('fork' as const), ...range }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('exit' as const), ...range }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Shared memory is mapped and moved, but never written: one process would see another's. */
function touchesShared(pages: ReadonlyMap<number, OraclePage>, at: number, n: number): boolean {
  for (let i = at; i < at + n; i += 1) {
    if (((pages.get(i)?.flags ?? 0) & VM_SHARED) !== 0) return true;
  }
  return false;
}

function apply(
  script: VmScript,
  oracle: PageOracle,
  action: Step,
  value: number,
  isExact = true,
): void {
  const { p, at, n } = action;
  if (!oracle.processes.has(p) && action.op !== 'fork') return;
  const pages = oracle.pages(p);
  switch (action.op) {
    case 'map': {
      script.map(at, n, action.prot, 'fixed', p);
      const flags = PROT_BITS.get(action.prot) ?? 0;
      for (let i = at; i < at + n; i += 1) pages.set(i, { flags, value: 0 });
      return;
    }
    case 'mapShared':
      // Read-only, so that no process sees another's writes.
      script.run({ op: 'mmap', p, at, n, prot: 'r', flags: 'shared|anon|fixed' });
      for (let i = at; i < at + n; i += 1) pages.set(i, { flags: VM_READ | VM_SHARED, value: 0 });
      return;
    case 'unmap':
      script.unmap(at, n, p);
      for (let i = at; i < at + n; i += 1) pages.delete(i);
      return;
    case 'protect': {
      script.protect(at, n, action.prot, p);
      // It stops at the first hole.
      let mapped = 0;
      while (mapped < n && pages.has(at + mapped)) mapped += 1;
      const bits = PROT_BITS.get(action.prot) ?? 0;
      oracle.change(p, at, mapped, (old) => ({
        ...old,
        flags: (old.flags & ~(VM_READ | VM_WRITE | VM_EXEC)) | bits,
      }));
      return;
    }
    case 'write':
      if (touchesShared(pages, at, n)) return;
      script.run({ op: 'write', p, at, n, v: value });
      oracle.change(p, at, n, (old) => ((old.flags & VM_WRITE) === 0 ? old : { ...old, value }));
      return;
    case 'advise': {
      // Shared memory refuses to be wiped.
      if (touchesShared(pages, at, n)) return;
      script.advise(at, n, action.advice, p);
      const [set, clear] = ADVICE.get(action.advice) ?? [0, 0];
      oracle.change(p, at, n, (old) => ({ ...old, flags: (old.flags | set) & ~clear }));
      return;
    }
    case 'drop':
      script.advise(at, n, 'dontneed_locked', p);
      oracle.change(p, at, n, (old) => ({ ...old, value: 0 }));
      return;
    case 'move': {
      const { to, isKept } = action;
      const flags = isKept ? 'fixed|dontunmap' : 'fixed';
      const result = script.run({ op: 'mremap', p, at, n, new: n, to, flags });
      if (result === to) oracle.move(p, at, n, to, isKept);
      const refusal = at < to + n && to < at + n ? 'EINVAL' : 'EFAULT';
      if (isExact && result !== to && result !== refusal) throw new Error(`mremap: ${result}`);
      return;
    }
    case 'grow': {
      const last = pages.get(at + n - 1);
      if (touchesShared(pages, at, n)) return;
      if (script.resize(at, n, n + 3, p) !== at || last === undefined) return;
      for (let i = at + n; i < at + n + 3; i += 1) pages.set(i, { ...last, value: 0 });
      return;
    }
    case 'lock':
    case 'unlock':
      script.run({ op: action.op === 'lock' ? 'mlock' : 'munlock', p, at, n });
      return;
    case 'fork': {
      const parent = p % 2 === 0 ? 0 : (p + 1) % PROCESSES;
      if (oracle.processes.has(p) || !oracle.processes.has(parent)) return;
      const result = script.fork(parent, p);
      if (isExact && result !== 0) throw new Error(`fork: ${result}`);
      oracle.fork(parent, p);
      return;
    }
    case 'exit':
      if (p === 0) return;
      script.exit(p);
      oracle.processes.delete(p);
  }
}

/** Flags by page, from the VMAs. */
function flagsByPage(script: VmScript, p: number): Array<readonly [number, number]> {
  return script
    .mm(p)
    .vmas.flatMap(({ start, end, flags }) =>
      Array.from(
        { length: end - start },
        (_, i) => [start + i - REGION_START, flags & COMPARED] as const,
      ),
    );
}

function expectedFlags(oracle: PageOracle, p: number): Array<readonly [number, number]> {
  return [...oracle.pages(p)]
    .map(([at, { flags }]) => [at, flags] as const)
    .toSorted((a, b) => a[0] - b[0]);
}

function expectValues(script: VmScript, oracle: PageOracle): void {
  for (const [p, pages] of oracle.processes) {
    for (const [at, { flags, value }] of pages) {
      if ((flags & (VM_READ | VM_WRITE | VM_EXEC)) === 0) continue;
      const { vals } = script.machine.apply({ op: 'read', p, at, n: 1 });
      expect([p, at, vals]).toEqual([p, at, [[value, 1]]]);
    }
  }
}

describe('any sequence of operations on VMAs', () => {
  it('keeps trees and counters right, and gives each process the pages it expects', () => {
    const run = (steps: readonly Step[]): void => {
      const script = new VmScript({ memoryPages: 1024 });
      const { freePages } = script.kernel.memory;
      const oracle = new PageOracle();
      for (const [i, action] of steps.entries()) {
        apply(script, oracle, action, i + 1);
        expect(vmaProblems(script.kernel)).toEqual([]);
        for (const p of oracle.processes.keys()) {
          expect(flagsByPage(script, p)).toEqual(expectedFlags(oracle, p));
        }
      }
      expectValues(script, oracle);
      for (const p of oracle.processes.keys()) script.exit(p);
      expect(script.living()).toEqual([]);
      expect(script.kernel.intervals.rowsInUse).toBe(0);
      expect(script.kernel.memory.freePages).toBeGreaterThanOrEqual(freePages);
      expect(script.kernel.pageTables.nodeCount).toBe(0);
    };
    fc.assert(fc.property(fc.array(step, { minLength: 10, maxLength: 80 }), run), {
      seed: 7,
      numRuns: 250,
    });
  });

  it('undoes what fails for lack of memory, and what succeeds is whole', () => {
    const failing = fc.record({ step, nth: fc.nat({ max: 4 }) });
    const run = (steps: ReadonlyArray<{ readonly step: Step; readonly nth: number }>): void => {
      const script = new VmScript({ memoryPages: 1024 });
      const oracle = new PageOracle();
      for (const [i, { step: action, nth }] of steps.entries()) {
        script.kernel.failAllocation = nth;
        // Results differ from the oracle's when memory is short; only soundness is asked for.
        apply(script, oracle, action, i + 1, false);
        script.kernel.failAllocation = 0;
        if (action.op === 'fork' && !script.kernel.processes.has(action.p)) {
          oracle.processes.delete(action.p);
        }
        expect(vmaProblems(script.kernel)).toEqual([]);
      }
      for (const p of Array.from(script.kernel.processes.keys())) script.exit(p);
      expect(script.living()).toEqual([]);
      expect(script.kernel.intervals.rowsInUse).toBe(0);
    };
    fc.assert(fc.property(fc.array(failing, { minLength: 10, maxLength: 60 }), run), {
      seed: 8,
      numRuns: 150,
    });
  });
});
