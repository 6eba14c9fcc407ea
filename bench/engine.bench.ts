import { Machine } from '#rmap/kernel/machine.js';
import { runToEnd } from '#rmap/kernel/op/prims.js';
import type { Operation } from '#rmap/kernel/operation.js';
import { visitMappers } from '#rmap/kernel/rmap/visit_mappers.js';
import { type Benchmark, type Budget, type Trial, type Variant } from './harness.js';
import { type KernelOperation, kernelVariants } from './kernel_variant.js';

/** Page where the region starts. */
const AT = 0x10000;
/** Where a move goes: one page off the alignment of page tables. */
const MOVED_TO = AT + 2 ** 20 + 1;
/** The process that works. */
const FIRST = 1;

/** What one benchmark of the engine does. */
interface Script {
  readonly name: string;
  readonly item: string;
  readonly sizes: readonly number[];
  /** Operations before the first round. */
  readonly setUp?: readonly Operation[];
  /** Operations before the timed ones, for a number of pages. */
  readonly before: (pages: number) => readonly Operation[];
  /** The timed operations. */
  readonly timed: (pages: number) => readonly Operation[];
  /** The same work for the running kernel, to be beaten by this factor. */
  readonly kernel?: { readonly operation: KernelOperation; readonly minTimesFaster: number };
  readonly budget: Budget;
}

function mmap(pages: number): Operation {
  return { op: 'mmap', p: FIRST, at: AT, n: pages, prot: 'rw', flags: 'private|anon' };
}

function write(pages: number, v = 1): Operation {
  return { op: 'write', p: FIRST, at: AT, n: pages, v };
}

const FORK: Operation = { op: 'fork', p: FIRST, c: 2 };
const SIZES = [1024, 8192, 65_536];

const SCRIPTS: readonly Script[] = [
  {
    name: 'fork',
    item: 'page',
    sizes: SIZES,
    before: (n) => [mmap(n), write(n)],
    timed: () => [FORK],
    kernel: { operation: 'fork', minTimesFaster: 20 },
    budget: { maxNsPerItem: 5, maxSlope: 1.15 },
  },
  {
    name: 'zap (munmap)',
    item: 'page',
    sizes: SIZES,
    before: (n) => [mmap(n), write(n)],
    timed: (n) => [{ op: 'munmap', p: FIRST, at: AT, n }],
    kernel: { operation: 'zap', minTimesFaster: 20 },
    budget: { maxNsPerItem: 5, maxSlope: 1.15 },
  },
  {
    name: 'mprotect',
    item: 'page',
    sizes: SIZES,
    before: (n) => [mmap(n), write(n)],
    timed: (n) => [
      { op: 'mprotect', p: FIRST, at: AT, n, prot: 'r' },
      { op: 'mprotect', p: FIRST, at: AT, n, prot: 'rw' },
    ],
    kernel: { operation: 'mprotect', minTimesFaster: 20 },
    budget: { maxNsPerItem: 10, maxSlope: 1.15 },
  },
  {
    name: 'mremap, tables not whole',
    item: 'page',
    sizes: SIZES,
    before: (n) => [mmap(n), write(n)],
    timed: (n) => [
      { op: 'mremap', p: FIRST, at: AT, n, new: n, to: MOVED_TO, flags: 'maymove|fixed' },
    ],
    kernel: { operation: 'mremap', minTimesFaster: 5 },
    budget: { maxSlope: 1.15 },
  },
  {
    name: 'write fault, first touch',
    item: 'fault',
    sizes: SIZES,
    before: (n) => [mmap(n)],
    timed: (n) => [write(n)],
    kernel: { operation: 'touch', minTimesFaster: 20 },
    budget: { maxNsPerItem: 150, maxSlope: 1.15 },
  },
  {
    name: 'write fault, reuse',
    item: 'fault',
    sizes: SIZES,
    before: (n) => [mmap(n), write(n), FORK, { op: 'exit', p: 2 }],
    timed: (n) => [write(n, 2)],
    kernel: { operation: 'reuse', minTimesFaster: 20 },
    budget: { maxNsPerItem: 150, maxSlope: 1.15 },
  },
  {
    name: 'write fault, copy',
    item: 'fault',
    sizes: SIZES,
    before: (n) => [mmap(n), write(n), FORK],
    timed: (n) => [write(n, 2)],
    kernel: { operation: 'copy', minTimesFaster: 20 },
    budget: { maxNsPerItem: 200, maxSlope: 1.15 },
  },
  {
    name: 'write fault, one call each',
    item: 'fault',
    sizes: [1024, 8192],
    before: (n) => [mmap(n)],
    timed: (n) => Array.from({ length: n }, (_, i) => ({ ...write(1), at: AT + i })),
    budget: { maxNsPerItem: 300 },
  },
  {
    name: 'swap out',
    item: 'page',
    sizes: [1024, 8192],
    setUp: [{ op: 'swapon', kind: 'zram' }],
    before: (n) => [mmap(n), write(n)],
    timed: (n) => [{ op: 'madvise', p: FIRST, at: AT, n, advice: 'pageout' }],
    budget: { maxNsPerItem: 303 },
  },
  {
    name: 'swap in',
    item: 'page',
    sizes: [1024, 8192],
    setUp: [{ op: 'swapon', kind: 'zram' }],
    before: (n) => [mmap(n), write(n), { op: 'madvise', p: FIRST, at: AT, n, advice: 'pageout' }],
    timed: (n) => [{ op: 'read', p: FIRST, at: AT, n }],
    budget: { maxNsPerItem: 254 },
  },
  {
    name: 'KSM merge, three scans',
    item: 'page',
    sizes: [1024, 8192],
    before: (n) => [mmap(n), write(n), { op: 'madvise', p: FIRST, at: AT, n, advice: 'mergeable' }],
    timed: () => [{ op: 'ksm', scans: 3 }],
    budget: { maxNsPerItem: 423 },
  },
  {
    name: 'reclaim with 64 mappers',
    item: 'page',
    sizes: [256, 1024],
    setUp: [{ op: 'swapon', kind: 'zram' }],
    before: (n) => [
      { op: 'memcg', p: FIRST, on: 1 },
      mmap(n),
      write(n),
      { op: 'memcg', p: FIRST, on: 0 },
      ...Array.from({ length: 63 }, (_, i): Operation => ({ op: 'fork', p: FIRST, c: i + 2 })),
    ],
    timed: () => [{ op: 'reclaim' }],
    budget: { maxNsPerItem: 3500 },
  },
  {
    name: 'first touch of 2 MiB pages',
    item: 'page',
    sizes: [8192, 65_536],
    setUp: [{ op: 'config', key: 'thp', value: 'always' }],
    before: (n) => [mmap(n)],
    timed: (n) =>
      Array.from({ length: n / 512 }, (_, i): Operation => ({
        op: 'write',
        p: FIRST,
        at: AT + i * 512,
        n: 1,
        v: 1,
      })),
    budget: { maxNsPerItem: 9 },
  },
];

function engineVariant(script: Script): Variant {
  return {
    name: 'engine',
    setup(size): Trial {
      // One machine for all rounds, so that its memory is warm; every round starts in a process of
      // its own.
      const machine = new Machine({ profile: { memoryPages: 2 ** 18 } });
      const { setUp, before, timed } = script;
      for (const operation of setUp ?? []) machine.apply(operation);
      const timedOperations = timed(size);
      return {
        prepare() {
          for (const p of machine.kernel.processes.keys()) {
            if (p !== 0) machine.apply({ op: 'exit', p });
          }
          machine.apply({ op: 'fork', p: 0, c: FIRST });
          for (const operation of before(size)) machine.apply(operation);
        },
        run() {
          let hash = 0;
          for (const operation of timedOperations) hash += machine.apply(operation).ret;
          return hash + machine.kernel.memory.freePages;
        },
        counters() {
          const { faults, pagesCopied } = machine.kernel.work;
          return { faults, copies: pagesCopied };
        },
      };
    },
  };
}

/** Walks from a page to its 64 mappers. */
const walk: Benchmark = {
  name: 'rmap walk, 64 mappers',
  item: 'mapping',
  sizes: [640, 6400],
  smokeSize: 640,
  variants: [
    {
      name: 'engine',
      setup(size): Trial {
        const machine = new Machine();
        machine.apply({ op: 'fork', p: 0, c: FIRST });
        machine.apply(mmap(100));
        machine.apply(write(100));
        for (let c = 2; c < 65; c += 1) machine.apply({ op: 'fork', p: FIRST, c });
        const { kernel } = machine;
        const mm = kernel.processes.get(FIRST)?.mm;
        const pfns = Array.from({ length: size / 64 }, (_, i) => {
          const entry = kernel.pageTables.findPte(mm?.pgd ?? 0, AT + (i % 100));
          return kernel.pageTables.payload[entry] ?? 0;
        });
        return {
          run() {
            let found = 0;
            const count = (): void => void (found += 1);
            for (const pfn of pfns) runToEnd(visitMappers(kernel, pfn, pfn, count));
            return found;
          },
          counters: () => ({ visited: kernel.work.rmapVmasVisited }),
        };
      },
    },
  ],
  budget: { maxNsPerItem: 60 },
};

function factorOf({ kernel }: Script): Budget {
  return kernel === undefined ? {} : { minTimesFaster: kernel.minTimesFaster };
}

/** The engine's rows of the budget table. */
export const engineBenchmarks: readonly Benchmark[] = [
  ...SCRIPTS.map((script): Benchmark => ({
    name: script.name,
    item: script.item,
    sizes: script.sizes,
    smokeSize: script.sizes[0] ?? 1024,
    variants: [
      engineVariant(script),
      ...(script.kernel === undefined ? [] : kernelVariants(script.kernel.operation)),
    ],
    budget: { ...script.budget, ...factorOf(script) },
  })),
  walk,
];
