/** Goal: pages that are zapped or shared together end exactly like pages taken one by one. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { outcomeOf } from '../../../test/support/machine_outcome.js';
import { checkInvariants } from '../invariants/index.js';
import { Machine } from '../machine.js';
import type { Operation } from '../operation.js';
import { GUP_PIN_COUNTING_BIAS } from '../phys/folio.js';
import { PG_ANON_EXCLUSIVE } from '../phys/page_flags.js';
import { PTE_PRESENT, PTE_WRITE, PTE_YOUNG } from '../pgtable/pte.js';

/** Anonymous memory, and a private mapping of a file behind it. */
const ANON_PAGES = 500;
const PAGES = 700;

const range = fc.record({ at: fc.nat(PAGES - 1), n: fc.integer({ min: 1, max: 200 }) });
/** Where something small happens to most groups of neighbours. */
const spots = fc.array(fc.record({ at: fc.nat(PAGES - 4), n: fc.integer({ min: 1, max: 3 }) }), {
  minLength: 20,
  maxLength: 60,
});
const process = fc.constantFrom(1, 2);

function ranged<T extends object>(part: T): fc.Arbitrary<T & { at: number; n: number }> {
  return range.map((pages) => ({ ...part, ...pages }));
}

/** What gives neighbours different counts, owners, marks and places on the lists. */
const step: fc.Arbitrary<Operation | Operation[]> = fc.oneof(
  { weight: 3, arbitrary: spots.map((all) => all.flatMap(({ at, n }) => renewed(at, n))) },
  fc
    .tuple(spots, fc.constantFrom<'free' | 'dontneed'>('free', 'dontneed'))
    .map(([all, advice]) =>
      all.map(({ at, n }): Operation => ({ op: 'madvise', p: 1, at, n, advice })),
    ),
  { weight: 5, arbitrary: process.chain((p) => ranged({ op: 'write' as const, p, v: 1 })) },
  process.chain((p) => ranged({ op: 'read' as const, p })),
  fc.constant<Operation>({ op: 'fork', p: 1, c: 2 }),
  fc.constant<Operation>({ op: 'exit', p: 2 }),
  fc
    .constantFrom<'free' | 'cold' | 'dontneed'>('free', 'cold', 'dontneed')
    .chain((advice) => ranged({ op: 'madvise' as const, p: 1, advice })),
  process.chain((p) =>
    fc.record({
      op: fc.constant('vmsplice' as const),
      p: fc.constant(p),
      at: fc.nat(PAGES - 4),
      n: fc.integer({ min: 1, max: 4 }),
      id: fc.nat(999),
    }),
  ),
  fc.record({
    op: fc.constant('pin' as const),
    p: fc.constant(1),
    at: fc.nat(PAGES - 3),
    n: fc.integer({ min: 1, max: 3 }),
    id: fc.integer({ min: 1000, max: 1999 }),
  }),
);

/** Fresh pages, the newest of their list. */
function renewed(at: number, n: number): Operation[] {
  return [
    { op: 'madvise', p: 1, at, n, advice: 'dontneed' },
    { op: 'write', p: 1, at, n, v: 1 },
  ];
}

function begin(steps: ReadonlyArray<Operation | Operation[]>): Machine {
  const machine = new Machine({ profile: { memoryPages: 8192 } });
  machine.apply({ op: 'fork', p: 0, c: 1 });
  const map = { op: 'mmap', p: 1, prot: 'rw' } as const;
  machine.apply({ ...map, at: 0, n: ANON_PAGES, flags: 'private|anon|fixed' });
  const filePages = PAGES - ANON_PAGES;
  machine.apply({ op: 'file', id: 'f', kind: 'memfd', n: filePages });
  const file = { flags: 'private|fixed', file: 'f', off: 0 };
  machine.apply({ ...map, at: ANON_PAGES, n: filePages, ...file });
  // In order, so that most neighbours are neighbours on the list too.
  machine.apply({ op: 'write', p: 1, at: 0, n: ANON_PAGES + 20, v: 1 });
  machine.apply({ op: 'read', p: 1, at: ANON_PAGES + 20, n: filePages - 20 });
  for (const operation of steps.flat()) apply(machine, operation);
  return machine;
}

/** What makes no sense at the moment (a child that is there, a used pipe) is left out. */
function apply(machine: Machine, operation: Operation): void {
  const { processes } = machine.kernel;
  if (operation.op === 'fork' && processes.has(operation.c)) return;
  if ('id' in operation && [...processes.values()].some((one) => isHeld(one, operation.id))) return;
  machine.apply(operation);
}

function isHeld(
  { pipes, rings }: { pipes: ReadonlyMap<unknown, unknown>; rings: ReadonlyMap<unknown, unknown> },
  id: unknown,
): boolean {
  return pipes.has(id) || rings.has(id);
}

describe('zap of neighbouring pages', () => {
  it('ends like zaps of one page each, down to the order of free pages', () => {
    let zapped = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 10 }), range, (steps, { at, n }) => {
        const together = begin(steps);
        const alone = begin(steps);
        const before = together.kernel.memory.freePages;
        const advise = { op: 'madvise', p: 1, advice: 'dontneed' } as const;
        const length = Math.min(n, PAGES - at);
        together.apply({ ...advise, at, n: length });
        for (let i = 0; i < length; i += 1) alone.apply({ ...advise, at: at + i, n: 1 });
        zapped += together.kernel.memory.freePages - before;
        for (const machine of [together, alone]) {
          machine.apply({ op: 'write', p: 1, at: 0, n: PAGES, v: 2 });
        }
        expect(outcomeOf(together)).toEqual(outcomeOf(alone));
        checkInvariants(together.kernel);
      }),
      { seed: 5, numRuns: 60 },
    );
    expect(zapped).toBeGreaterThan(3000);
  });
});

interface PageBefore {
  readonly pfn: number;
  readonly refcount: number;
  readonly mapcount: number;
  readonly isPinned: boolean;
  readonly pte: number;
}

/** What the parent maps, page by page; undefined where nothing is. */
function pagesOf(machine: Machine): Array<PageBefore | undefined> {
  const { memory, pageTables, processes } = machine.kernel;
  const mm = processes.get(1)?.mm;
  if (mm === undefined) throw new Error('no process 1');
  return Array.from({ length: PAGES }, (_, vpn) => {
    const entry = pageTables.findPte(mm.pgd, vpn);
    const pte = entry < 0 ? 0 : pageTables.flags[entry];
    if ((pte & PTE_PRESENT) === 0) return undefined;
    const pfn = pageTables.payload[entry];
    const [refcount, mapcount] = [memory.refcount[pfn], memory.mapcount[pfn]];
    const isExclusive = (memory.flags[pfn] & PG_ANON_EXCLUSIVE) !== 0;
    const isPinned = mm.hasPinned && isExclusive && refcount >= GUP_PIN_COUNTING_BIAS;
    return { pfn, refcount, mapcount, isPinned, pte };
  });
}

describe('fork of neighbouring pages', () => {
  it('shares each page, but copies those that may be pinned', () => {
    let copied = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 10 }), (steps) => {
        const machine = begin(steps);
        machine.apply({ op: 'exit', p: 2 });
        const before = pagesOf(machine);
        machine.apply({ op: 'fork', p: 1, c: 3 });
        const { memory, pageTables, processes } = machine.kernel;
        const child = processes.get(3)?.mm;
        if (child === undefined) throw new Error('no child');
        const after = before.map((page, vpn) => {
          const entry = pageTables.findPte(child.pgd, vpn);
          const pte = entry < 0 ? 0 : pageTables.flags[entry];
          if (page === undefined || pte === 0) return pte;
          const pfn = pageTables.payload[entry];
          if (pfn !== page.pfn) copied += 1;
          if (pfn !== page.pfn || pfn === memory.zeroPfn) return pfn === page.pfn;
          const mark = memory.flags[pfn] & PG_ANON_EXCLUSIVE;
          return [pte, memory.refcount[pfn], memory.mapcount[pfn], mark];
        });
        const expected = before.map((page) => {
          if (page === undefined) return 0;
          if (page.isPinned || page.pfn === memory.zeroPfn) return !page.isPinned;
          return [page.pte & ~(PTE_WRITE | PTE_YOUNG), page.refcount + 1, page.mapcount + 1, 0];
        });
        expect(after).toEqual(expected);
        checkInvariants(machine.kernel);
      }),
      { seed: 6, numRuns: 40 },
    );
    expect(copied).toBeGreaterThan(20);
  });
});
