/**
 * Goal: every call takes the mmap lock and locks VMAs as Linux does. Method: what Linux 6.18 did was
 * read after each call of a C program that made these calls in this order: the events of the mmap
 * lock from its tracepoints, and the VMAs whose `vm_lock_seq` had become `mm_lock_seq` by BPF.
 */
import { describe, expect, it } from 'vitest';
import { Machine } from '../kernel/machine.js';
import type { Operation } from '../kernel/operation.js';
import type { Point } from '../kernel/op/prims.js';
import type { Mm } from '../kernel/vm/mm.js';

// @covers mm_struct.mm_lock_seq, vm_area_struct.vm_lock_seq, lock_vma_under_rcu, vma_start_write

const START = 0x1000000;

/** W+ and R+: taken for write or read, tries too; W- and R-: let go. `W+ R+ R-`: downgraded. */
const EVENTS: Partial<Record<Point['kind'], string>> = {
  acquireWrite: 'W+',
  releaseWrite: 'W-',
  downgradeWrite: 'R+',
  acquireRead: 'R+',
  tryRead: 'R+',
  releaseRead: 'R-',
};
const WRITE = 'W+ W-';
const READ = 'R+ R-';
const CUT = 'W+ R+ R-';
const POPULATE = 'W+ W- R+ R-';
const GROW_STACK = 'R+ R- W+ R+ R-';
const ALL = '16-24 25-36 200-202 496-504 600-608 700-708';
const PRIVATE = '16-24 25-36 200-202 496-504 600-608';

type Row = readonly [operation: Operation, mmapLock: string, lockedVmas: string];

function map(at: number, n: number, flags = 'private|anon', file?: string): Operation {
  const operation = { op: 'mmap', p: 0, at, n, prot: 'rw', flags } as const;
  return file === undefined ? operation : { ...operation, file, off: 0 };
}

function read(at: number): Operation {
  return { op: 'read', p: 0, at, n: 1 };
}

function unmap(at: number, n: number): Operation {
  return { op: 'munmap', p: 0, at, n };
}

function write(at: number): Operation {
  return { op: 'write', p: 0, at, n: 1, v: 7 };
}

function protect(at: number, n: number, prot: 'r' | 'rw'): Operation {
  return { op: 'mprotect', p: 0, at, n, prot };
}

type Advice = Extract<Operation, { op: 'madvise' }>['advice'];

function advise(advice: Advice, at: number, n: number): Operation {
  return { op: 'madvise', p: 0, at, n, advice };
}

function remap(at: number, n: number, pages: number, flags: string, to?: number): Operation {
  const operation = { op: 'mremap', p: 0, at, n, new: pages, flags } as const;
  return to === undefined ? operation : { ...operation, to };
}

const MAPPINGS: readonly Row[] = [
  [map(16, 16), WRITE, '16-32'],
  [read(16), '', ''],
  [write(16), READ, ''],
  [write(17), '', ''],
  [map(32, 4), WRITE, '16-36'],
  [map(100, 4), WRITE, '100-104'],
  [write(100), READ, ''],
  [protect(20, 4, 'r'), WRITE, '16-20 20-24 24-36'],
  [protect(20, 4, 'r'), WRITE, ''],
  [protect(20, 4, 'rw'), WRITE, '16-36'],
  [protect(100, 4, 'r'), WRITE, '100-104'],
  [{ op: 'mlock', p: 0, at: 16, n: 2 }, POPULATE, '16-18 18-36'],
  [{ op: 'munlock', p: 0, at: 16, n: 2 }, WRITE, '16-36'],
  [advise('dontneed', 16, 1), '', ''],
  [advise('free', 17, 1), '', ''],
  [advise('cold', 17, 1), READ, ''],
  [advise('pageout', 17, 1), READ, ''],
  [advise('willneed', 17, 1), READ, ''],
  [advise('populate_write', 18, 1), READ, ''],
  [advise('populate_read', 19, 1), READ, ''],
  [advise('dontfork', 16, 20), WRITE, '16-36'],
  [advise('dofork', 16, 20), WRITE, '16-36'],
  [advise('mergeable', 16, 20), WRITE, '16-36'],
  [advise('unmergeable', 16, 20), WRITE, '16-36'],
  [advise('guard_install', 22, 1), READ, ''],
  [advise('guard_remove', 22, 1), READ, ''],
  [remap(100, 4, 8, 'none'), WRITE, '100-108'],
  [remap(100, 8, 2, 'none'), CUT, '100-102'],
  [remap(100, 2, 2, 'fixed', 200), WRITE, '200-202'],
  [remap(200, 2, 2, 'fixed|dontunmap', 220), WRITE, '200-202 220-222'],
  [unmap(24, 1), CUT, '16-24 25-36'],
  [unmap(220, 2), CUT, ''],
  [map(500, 4, 'private|anon|growsdown'), WRITE, '500-504'],
  [write(500), READ, ''],
  [write(499), GROW_STACK, '499-504'],
  [{ op: 'mem_write', p: 0, at: 496, n: 1, v: 7 }, GROW_STACK, '496-504'],
  [{ op: 'mem_write', p: 0, at: 17, n: 1, v: 7 }, READ, ''],
  [{ op: 'file', id: 'f', n: 8, kind: 'memfd' }, '', ''],
  [map(600, 8, 'private', 'f'), WRITE, '600-608'],
  [read(600), '', ''],
  [write(600), READ, ''],
  [write(602), '', ''],
  [map(700, 8, 'shared', 'f'), WRITE, '700-708'],
  [read(700), '', ''],
  [write(700), '', ''],
  [{ op: 'prctl_merge', p: 0, on: 1 }, WRITE, PRIVATE],
  [{ op: 'prctl_merge', p: 0, on: 0 }, WRITE, PRIVATE],
  [{ op: 'clear_refs', p: 0, what: 'soft_dirty' }, WRITE, ALL],
  [{ op: 'clear_refs', p: 0, what: 'all' }, WRITE, ALL],
  [{ op: 'mlockall', p: 0, flags: 'current|onfault' }, POPULATE, ALL],
  [{ op: 'munlockall', p: 0 }, WRITE, ALL],
  [{ op: 'fork', p: 0, c: 1 }, WRITE, ALL],
];

const USERFAULTFD: readonly Row[] = [
  [map(16, 16), WRITE, '16-32'],
  [protect(24, 4, 'r'), WRITE, '16-24 24-28 28-32'],
  [advise('dontneed', 22, 4), READ, ''],
  [advise('dontneed', 30, 4), READ, ''],
  [advise('free', 22, 4), READ, ''],
  [advise('dontneed_locked', 16, 1), '', ''],
  [map(100, 16), WRITE, '100-116'],
  [{ op: 'uffd_register', p: 0, at: 100, n: 8, mode: 'missing|wp' }, WRITE, '100-108 108-116'],
  [{ op: 'uffd_copy', p: 0, at: 100, n: 1, v: 7 }, READ, ''],
  [{ op: 'uffd_copy', p: 0, at: 101, n: 1, v: 7 }, '', ''],
  [{ op: 'uffd_zero', p: 0, at: 102, n: 1 }, '', ''],
  [{ op: 'uffd_wp', p: 0, at: 100, n: 2, on: 1 }, READ, ''],
  [{ op: 'uffd_wp', p: 0, at: 100, n: 2, on: 0 }, READ, ''],
  [write(109), READ, ''],
  [{ op: 'uffd_move', p: 0, at: 109, n: 1, to: 104 }, '', ''],
  [advise('dontneed', 100, 1), READ, ''],
  [{ op: 'uffd_unregister', p: 0, at: 100, n: 8 }, WRITE, '100-108'],
  [remap(16, 4, 2, 'none'), CUT, '16-18 20-24'],
  [remap(16, 2, 2, 'none'), WRITE, ''],
  [{ op: 'mlock', p: 0, at: 16, n: 2, onfault: 1 }, POPULATE, '16-18'],
  [{ op: 'mlock', p: 0, at: 16, n: 2, onfault: 1 }, POPULATE, ''],
  [advise('random', 16, 1), WRITE, '16-17 17-18'],
  [advise('random', 16, 1), WRITE, ''],
];

class Observer {
  readonly machine = new Machine({ profile: { memoryPages: 8192 }, regionStart: START });
  private readonly mm: Mm;

  constructor() {
    const process = this.machine.kernel.processes.get(0);
    if (process === undefined) throw new Error('no process 0');
    this.mm = process.mm;
  }

  /** The row that the engine would have in the table. */
  row(operation: Operation): Row {
    const { mm } = this;
    const before = new Map(mm.vmas.map((vma) => [vma, vma.lockSequence]));
    const events: string[] = [];
    const task = this.machine.applyOp(operation);
    for (let step = task.next(); step.done !== true; step = task.next()) {
      const event = step.value.object === mm.mmapLock ? EVENTS[step.value.kind] : undefined;
      if (event !== undefined) events.push(event);
    }
    const locked = mm.vmas
      .filter((vma) => vma.lockSequence !== before.get(vma))
      .map(({ start, end }) => `${start - START}-${end - START}`);
    return [operation, events.join(' '), locked.join(' ')];
  }
}

describe('the locks of calls and faults', () => {
  it.each([
    ['mappings', MAPPINGS],
    ['userfaultfd', USERFAULTFD],
  ])('are those of Linux: %s', (_, rows) => {
    const observer = new Observer();
    expect(rows.map(([operation]) => observer.row(operation))).toEqual(rows);
  });
});
