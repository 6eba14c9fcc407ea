import { describe, expect, it } from 'vitest';
import { underMmapLock } from '../../test/support/under_mmap_lock.js';
import { Machine } from '../kernel/machine.js';
import type { MmapOperation, Operation } from '../kernel/operation.js';
import { findVma } from '../kernel/vm/mm.js';
import { splitVma } from '../kernel/vm/vma_split.js';
import { generateScenario } from './generate/generate.js';
import { MergeOracle } from './merge_oracle.js';

const REGION_START = 0x1000000;

/** A machine, its oracle, and the VMAs of process 0 as `start-end`. */
class Script {
  readonly machine = new Machine({
    profile: { memoryPages: 2048 },
    regionStart: REGION_START,
  });
  readonly oracle = new MergeOracle(this.machine);

  run(...operations: Operation[]): string[] {
    return operations.flatMap((one) => this.oracle.after(one, this.machine.apply(one)));
  }

  /** The operation, after which the VMA at a page is cut in two by hand. */
  runAndCut(operation: Operation, at: number): string[] {
    const result = this.machine.apply(operation);
    const mm = this.machine.kernel.processes.get(0)?.mm;
    const vma = mm === undefined ? undefined : findVma(mm, at + REGION_START);
    if (vma === undefined) throw new Error(`nothing is mapped at ${at}`);
    underMmapLock(vma.mm, () => splitVma(this.machine.kernel, vma, at + REGION_START, false));
    return this.oracle.after(operation, result);
  }
}

function map(at: number, n: number, more: Partial<MmapOperation> = {}): MmapOperation {
  return { op: 'mmap', p: 0, at, n, prot: 'rw', flags: 'private|anon', ...more };
}

function write(at: number, n = 1, p = 0): Operation {
  return { op: 'write', p, at, n, v: 1 };
}

const protect = { op: 'mprotect', p: 0, at: 4, n: 2, prot: 'r' } as const;

describe('neighbours that should be one VMA', () => {
  it.each([
    ['mmap', [map(0, 4), write(0)], map(4, 4), 4],
    ['mmap into a hole', [map(0, 4), write(0), map(6, 4)], map(4, 2), 6],
    ['mprotect', [map(0, 10), write(0, 10), protect], { ...protect, prot: 'rw' }, 4],
    ['mprotect, at its end', [map(0, 10), protect], { ...protect, prot: 'rw' }, 6],
    [
      'munlock',
      [map(0, 10), { op: 'mlock', p: 0, at: 2, n: 2 }],
      { op: 'munlock', p: 0, at: 2, n: 2 },
      2,
    ],
    [
      'madvise',
      [map(0, 10), { op: 'madvise', p: 0, at: 2, n: 2, advice: 'dontfork' }],
      { op: 'madvise', p: 0, at: 2, n: 2, advice: 'dofork' },
      4,
    ],
    ['mremap', [map(0, 4), map(20, 4)], mremap(20, 4, 4), 4],
    ['mremap that grows', [map(0, 4), write(0)], { ...mremap(0, 4, 0), new: 8, flags: 'none' }, 4],
    [
      'brk',
      [
        { op: 'brk_at', p: 0, at: 40 },
        { op: 'brk', p: 0, at: 44 },
      ],
      brk(48),
      44,
    ],
  ] as const satisfies ReadonlyArray<readonly [string, Operation[], Operation, number]>)(
    'are reported after %s',
    (_name, setUp, operation, at) => {
      const sound = new Script();
      expect(sound.run(...setUp, operation)).toEqual([]);
      const broken = new Script();
      expect(broken.run(...setUp)).toEqual([]);
      expect(broken.runAndCut(operation, at)).toEqual([
        expect.stringContaining(`and ${REGION_START + at} apart`),
      ]);
    },
  );

  it('are history if the operation changed neither', () => {
    const script = new Script();
    script.run(map(0, 10), write(0, 10));
    expect(script.runAndCut({ ...protect, prot: 'rw' }, 4)).toEqual([]);
    const advice = { op: 'madvise', p: 0, at: 0, n: 10, advice: 'dontneed' } as const;
    expect(script.run(advice)).toEqual([]);
  });
});

const FILE = { file: 'f', flags: 'shared' } as const;
const HUGE = { n: 512, flags: 'private|anon|hugetlb' } as const;

describe('neighbours that stay two', () => {
  it.each([
    ['other permissions', 0, '0-4 4-6 6-10', [map(0, 10), write(0, 10), protect]],
    [
      'a fork child and new memory',
      1,
      '0-4 4-8',
      [map(0, 4), write(0), { op: 'fork', p: 0, c: 1 }, map(4, 4, { p: 1 })],
    ],
    [
      'memory that was touched apart',
      0,
      '0-8 8-12',
      [map(0, 4), map(8, 4), write(0), write(8), map(4, 4)],
    ],
    [
      'two mappings of a file',
      0,
      '0-2 2-4',
      [
        { op: 'file', id: 'f', n: 4, kind: 'memfd' },
        map(0, 2, { ...FILE, off: 0 }),
        map(2, 2, { ...FILE, off: 2 }),
      ],
    ],
    [
      'hugetlb',
      0,
      '512-1024 1024-1536',
      [{ op: 'config', key: 'hugetlb', value: 2 }, map(512, 512, HUGE), map(1024, 512, HUGE)],
    ],
    [
      'a heap that begins, and what lies before it',
      0,
      '36-40 40-44',
      [map(36, 4), { op: 'brk_at', p: 0, at: 40 }, brk(44)],
    ],
    [
      'moved memory and what MREMAP_DONTUNMAP left',
      0,
      '0-4 4-8 100-104',
      [
        map(0, 8),
        { op: 'mlock', p: 0, at: 0, n: 4 },
        { ...mremap(0, 4, 100), flags: 'fixed|dontunmap' },
      ],
    ],
    [
      'what MREMAP_DONTUNMAP left, whose anon_vma went last, and memory moved behind it',
      2,
      '100-101 101-105 105-106 106-110',
      [
        map(100, 6),
        { op: 'mprotect', p: 0, at: 100, n: 1, prot: 'r' },
        write(105),
        { op: 'munmap', p: 0, at: 105, n: 1 },
        { op: 'fork', p: 0, c: 1 },
        { op: 'fork', p: 1, c: 2 },
        { op: 'mprotect', p: 2, at: 100, n: 1, prot: 'rw' },
        { op: 'mremap', p: 2, at: 100, n: 5, new: 5, to: 105, flags: 'fixed|dontunmap' },
      ],
    ],
  ] as const satisfies ReadonlyArray<readonly [string, number, string, Operation[]]>)(
    'are %s',
    (_name, process, ranges, steps) => {
      const script = new Script();
      expect(script.run(...steps)).toEqual([]);
      const vmas = script.machine.kernel.processes.get(process)?.mm.vmas ?? [];
      const found = vmas.map(({ start, end }) => `${start - REGION_START}-${end - REGION_START}`);
      expect(found.join(' ')).toBe(ranges);
    },
  );

  it('are those for which memory was too short', () => {
    const script = new Script();
    script.run(map(0, 4), map(5, 3), write(5));
    // The lower one would need the anon_vma of the upper one.
    script.machine.kernel.failAllocation = 1;
    script.run({ op: 'read', p: 0, at: 0, n: 1 });
    expect(script.run(map(4, 1))).toEqual([]);
    expect(script.machine.kernel.processes.get(0)?.mm.vmas).toHaveLength(3);
  });
});

it('finds nothing in random scenarios', () => {
  for (let seed = 1; seed <= 120; seed += 1) {
    const script = new Script();
    for (const operation of generateScenario({ seed, mode: 'merge', operationCount: 40 })) {
      expect(script.run(operation), `seed ${seed}`).toEqual([]);
    }
  }
});

function mremap(at: number, n: number, to: number): Extract<Operation, { op: 'mremap' }> {
  return { op: 'mremap', p: 0, at, n, new: n, to, flags: 'fixed' };
}

function brk(at: number): Operation {
  return { op: 'brk', p: 0, at };
}
