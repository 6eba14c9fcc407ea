/**
 * Goal: in every scenario of Linux 6.18, what each process reads and maps is what a plain model of
 * memory holds (spec 90 A6, number 53). Method: a content oracle beside the machine, asked after
 * every operation. Breaking tests: one word of memory, one entry, one pinned page changed by hand.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ContentOracle } from '../src/check/shadow/shadow_scan.js';
import { Machine } from '../src/kernel/machine.js';
import type { Operation } from '../src/kernel/operation.js';
import { PTE_WRITE } from '../src/kernel/pgtable/pte.js';
import type { Profile } from '../src/kernel/profile.js';
import { REGION_START_PAGE } from '../src/trace/scenario.js';
import { readScenario } from '../src/trace/scenario_file.js';

const DIRECTORY = join(import.meta.dirname, 'cases');
const names = readdirSync(DIRECTORY).filter((name) => name.endsWith('.ops.jsonl'));

class Script {
  readonly machine: Machine;
  readonly oracle: ContentOracle;

  constructor(regionStart = REGION_START_PAGE, profile: Partial<Profile> = {}) {
    this.machine = new Machine({ regionStart, profile });
    this.oracle = new ContentOracle(this.machine);
  }

  run(...operations: Operation[]): string[] {
    return operations.flatMap((operation) =>
      this.oracle.after(operation, this.machine.apply(operation)),
    );
  }

  /** Entry and frame of a page of process 0. */
  place(at: number): { readonly entry: number; readonly pfn: number } {
    const { pageTables, processes } = this.machine.kernel;
    const pgd = processes.get(0)?.mm.pgd ?? -1;
    const entry = pageTables.findPte(pgd, at + this.machine.regionStart);
    return { entry, pfn: pageTables.payload[entry] };
  }
}

const WRITTEN: Operation[] = [
  { op: 'mmap', p: 0, at: 0, n: 4, prot: 'rw', flags: 'private|anon' },
  { op: 'write', p: 0, at: 0, n: 2, v: 7 },
  { op: 'write', p: 0, at: 2, n: 1, v: 9 },
];

describe('content of memory', () => {
  test.each(names)('%s', async (name) => {
    const script = new Script();
    const problems: string[] = [];
    for (const [i, operation] of (await readScenario(join(DIRECTORY, name))).entries()) {
      problems.push(...script.run(operation).map((problem) => `operation ${i}: ${problem}`));
    }
    expect(problems.slice(0, 3)).toEqual([]);
  });
});

describe('the content invariant is silent', () => {
  test('about a pin behind the first 2 MiB of a gigantic page', () => {
    const script = new Script(REGION_START_PAGE, { memoryPages: 2 ** 19 });
    const found = script.run(
      { op: 'config', key: 'hugetlb1g', value: 1 },
      { op: 'mmap', p: 0, at: 2 ** 18, n: 1, prot: 'rw', flags: 'private|anon|hugetlb1g|fixed' },
      { op: 'pin', p: 0, at: 2 ** 18 + 1000, n: 1, id: 1 },
    );
    expect(script.machine.kernel.processes.get(0)?.rings.get(1)?.pfns).toHaveLength(1);
    expect(found).toEqual([]);
  });

  test('about a pinned gigantic page that fails at another place', () => {
    const script = new Script(REGION_START_PAGE, { memoryPages: 2 ** 19 });
    const found = script.run(
      { op: 'config', key: 'hugetlb1g', value: 1 },
      { op: 'mmap', p: 0, at: 2 ** 18, n: 1, prot: 'rw', flags: 'private|anon|hugetlb1g|fixed' },
      { op: 'pin_read', p: 0, at: 2 ** 18 + 1, n: 1, id: 1, fast: 1 },
      { op: 'memory_failure', p: 0, at: 2 ** 18 + 100_000, n: 1 },
    );
    expect(script.machine.kernel.processes.get(0)?.rings.get(1)?.pfns).toHaveLength(1);
    expect(found).toEqual([]);
  });

  test('about private copies of huge pages that a hole takes along', () => {
    const script = new Script();
    const map = { op: 'mmap', p: 0, n: 512, prot: 'rw', file: 'f', off: 0 } as const;
    const found = script.run(
      { op: 'config', key: 'hugetlb', value: 3 },
      { op: 'file', id: 'f', n: 512, kind: 'memfd_hugetlb' },
      { ...map, at: 512, flags: 'private|fixed' },
      { op: 'write', p: 0, at: 512, n: 1, v: 7 },
      { op: 'pin_read', p: 0, at: 512, n: 1, id: 1, fast: 1 },
      { op: 'punch', file: 'f', at: 0, n: 511 },
      { op: 'read', p: 0, at: 512, n: 1 },
      { op: 'punch', file: 'f', at: 0, n: 512 },
      { op: 'read', p: 0, at: 512, n: 1 },
      { op: 'write', p: 0, at: 512, n: 1, v: 8 },
      { ...map, at: 1024, flags: 'shared|fixed' },
      { op: 'madvise', p: 0, at: 1024, n: 512, advice: 'remove' },
      { op: 'read', p: 0, at: 512, n: 1 },
    );
    expect(found).toEqual([]);
  });

  test('about a stack that a write by somebody else makes grow', () => {
    const script = new Script();
    const found = script.run(
      { op: 'mmap', p: 0, at: 120, n: 1, prot: 'rw', flags: 'private|anon|fixed|growsdown' },
      { op: 'mem_write', p: 0, at: 108, n: 1, v: 106 },
      { op: 'fork', p: 0, c: 1 },
      { op: 'read', p: 0, at: 104, n: 1 },
      { op: 'pvm_write', p: 1, q: 0, at: 106, n: 1, v: 105 },
      { op: 'read', p: 0, at: 104, n: 6 },
    );
    expect(found).toEqual([]);
  });

  test('about a pipe with a page that was copied from a file before it was written', () => {
    const script = new Script();
    const map = { op: 'mmap', p: 0, n: 1, prot: 'rw', file: 'g', off: 1 } as const;
    const found = script.run(
      { op: 'file', id: 'g', n: 3, kind: 'tmp' },
      { ...map, at: 63, flags: 'private|fixed|populate' },
      { ...map, at: 40, flags: 'shared|fixed' },
      { op: 'write', p: 0, at: 40, n: 1, v: 104 },
      { op: 'vmsplice', p: 0, at: 63, n: 1, id: 2 },
      { op: 'vmdrain', p: 0, n: 4, id: 2 },
    );
    expect(found).toEqual([]);
  });

  test('about a child of a process whose huge pages its own parent took', () => {
    const script = new Script();
    const found = script.run(
      { op: 'config', key: 'hugetlb', value: 2 },
      { op: 'mmap', p: 0, at: 1024, n: 1, prot: 'rw', flags: 'private|anon|hugetlb|fixed' },
      { op: 'mmap', p: 0, at: 512, n: 1, prot: 'rw', flags: 'private|anon|hugetlb|fixed' },
      { op: 'write', p: 0, at: 514, n: 1, v: 103 },
      { op: 'fork', p: 0, c: 1 },
      // No page for a copy: the child has to give up its own.
      { op: 'write', p: 0, at: 515, n: 1, v: 109 },
      { op: 'exit', p: 0 },
      { op: 'fork', p: 1, c: 2 },
      { op: 'write', p: 2, at: 516, n: 1, v: 112 },
    );
    expect(found).toEqual([]);
    const taken = script.machine.apply({ op: 'read', p: 1, at: 514, n: 1 });
    const anew = script.machine.apply({ op: 'read', p: 2, at: 514, n: 3 });
    expect([taken.vals, anew.vals]).toEqual([
      [['BUS', 1]],
      [
        [0, 2],
        [112, 1],
      ],
    ]);
  });

  test('about what a large folio of a file holds behind its end', () => {
    const script = new Script();
    const problems = script.run(
      { op: 'config', key: 'shmem_mthp.512kB', value: 'always' },
      { op: 'file', id: 'f', n: 64, kind: 'memfd' },
      { op: 'mmap', p: 0, at: 1024, n: 128, prot: 'rw', flags: 'shared|fixed', file: 'f', off: 0 },
      { op: 'write', p: 0, at: 1087, n: 2, v: 101 },
      { op: 'fileread', file: 'f', at: 64, n: 1 },
    );
    expect(problems).toEqual([]);
  });

  test.each(['fixed', 'fixed|dontunmap'])('about a move that fails half-way: %s', (flags) => {
    const script = new Script();
    const problems = script.run(
      { op: 'mmap', p: 0, at: 0, n: 20, prot: 'rw', flags: 'private|anon' },
      { op: 'uffd_register', p: 0, at: 19, n: 1, mode: 'wp', features: 'sigbus' },
      { op: 'write', p: 0, at: 0, n: 1, v: 5 },
      { op: 'mmap', p: 0, at: 100, n: 1, prot: 'rw', flags: 'shared|anon' },
      { op: 'mremap', p: 0, at: 0, n: 20, new: 20, to: 100, flags },
      { op: 'fork', p: 0, c: 1 },
      { op: 'write', p: 0, at: 100, n: 1, v: 6 },
    );
    expect(problems).toEqual([]);
    // The page was moved before the move failed, so it is private now.
    expect(script.machine.apply({ op: 'read', p: 1, at: 100, n: 1 }).vals).toEqual([[5, 1]]);
  });

  test('about what a process advises away from itself', () => {
    const found = new Script().run(
      ...WRITTEN,
      { op: 'pin', p: 0, at: 0, n: 1, id: 1 },
      { op: 'process_madvise', p: 0, q: 0, at: 0, n: 2, advice: 'dontneed' },
      { op: 'read', p: 0, at: 0, n: 2 },
    );
    expect(found).toEqual([]);
  });
});

describe('the content invariant and a given merge', () => {
  const MERGED: Operation[] = [
    ...WRITTEN,
    { op: 'fork', p: 0, c: 1 },
    { op: 'madvise', p: 0, at: 0, n: 4, advice: 'mergeable' },
    { op: 'ksm_merge', p: 0, at: 0, q: 0, to: 2 },
  ];

  test('agree that the two pages are equal, for relatives too', () => {
    expect(new Script().run(...MERGED, { op: 'read', p: 1, at: 0, n: 3 })).toEqual([]);
  });

  test('do not agree that others are', () => {
    const script = new Script();
    script.run(...MERGED);
    script.machine.kernel.memory.content[script.place(0).pfn] = 5;
    expect(script.run({ op: 'drain' })).toContain('process 0 maps 5 at 0, it holds 7');
  });
});

describe('the content invariant rings', () => {
  test('when a page of a process changes behind its back, before and when it is read', () => {
    const script = new Script();
    expect(script.run(...WRITTEN)).toEqual([]);
    script.machine.kernel.memory.content[script.place(1).pfn] = 8;
    expect(script.oracle.after({ op: 'drain' }, { ret: 0 })).toEqual([
      'process 0 maps 8 at 1, it holds 7',
    ]);
    expect(script.run({ op: 'read', p: 0, at: 0, n: 3 })).toContain(
      'process 0 reads 8 at 1, which holds 7',
    );
  });

  test('when an entry shows the page of another', () => {
    const script = new Script();
    script.run(...WRITTEN);
    script.machine.kernel.pageTables.payload[script.place(0).entry] = script.place(2).pfn;
    expect(script.run({ op: 'drain' })).toEqual(['process 0 maps 9 at 0, it holds 7']);
  });

  test('when a fork child writes through to its parent', () => {
    const script = new Script();
    expect(script.run(...WRITTEN, { op: 'fork', p: 0, c: 1 })).toEqual([]);
    const { kernel } = script.machine;
    const pgd = kernel.processes.get(1)?.mm.pgd ?? -1;
    const entry = kernel.pageTables.findPte(pgd, REGION_START_PAGE);
    kernel.pageTables.flags[entry] |= PTE_WRITE;
    expect(script.run({ op: 'write', p: 1, at: 0, n: 1, v: 5 })).toEqual([
      'process 0 maps 5 at 0, it holds 7',
    ]);
  });

  test('when a device holds another page than the process that pinned it', () => {
    const script = new Script();
    expect(script.run(...WRITTEN, { op: 'pin', p: 0, at: 0, n: 1, id: 3 })).toEqual([]);
    const holder = script.machine.kernel.processes.get(0)?.rings.get(3);
    holder?.pfns.splice(0, 1, script.place(2).pfn);
    expect(script.run({ op: 'drain' })).toEqual([
      'ring 3 of process 0 holds 9, the process 7',
      'ring 3 of process 0 holds another page than the process maps',
    ]);
  });

  test('when a pipe gives what its source never wrote', () => {
    const script = new Script();
    script.run(...WRITTEN, { op: 'vmsplice', p: 0, at: 0, n: 1, id: 4 });
    const { pfn } = script.place(0);
    expect(script.run({ op: 'munmap', p: 0, at: 0, n: 1 })).toEqual([]);
    script.machine.kernel.memory.content[pfn] = 9;
    expect(script.run({ op: 'vmdrain', p: 0, id: 4, n: 1 })).toEqual([
      'process 0 reads 9 from pipe 4, never written by its source',
    ]);
  });

  test('when a file gives what nobody wrote', () => {
    const script = new Script();
    script.run(
      { op: 'file', id: 'f', n: 2, kind: 'memfd' },
      { op: 'filewrite', file: 'f', at: 0, n: 2, v: 6 },
    );
    const pfn = script.machine.file('f').pages.get(1) ?? -1;
    script.machine.kernel.memory.content[pfn] = 1;
    expect(script.run({ op: 'fileread', file: 'f', at: 0, n: 2 })).toEqual([
      'file f gives 1 at 1, it holds 6',
    ]);
  });
});
