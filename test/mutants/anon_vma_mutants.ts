import type { Mutant } from './mutant.js';
import { forks, mapped, written } from './steps.js';

/** Three generations of which the middle one is gone, and a child of the last that reused it. */
const REUSED = [...written(0, 4), ...forks([0, 1], [1, 2])] as const;

/** The graph of anon_vmas: reuse, fork, clone, unlink, merge (spec 90 B 8–12, C). */
export const ANON_VMA_MUTANTS: readonly Mutant[] = [
  {
    name: 'B8 CVE-2022-42703: one counter for children and VMAs lets an anon_vma be reused twice',
    edits: [
      {
        file: 'rmap/anon_vma_clone.ts',
        rule: 'from.anonVma !== undefined && isReusable(anonVma)',
        wrong:
          'from.anonVma !== undefined && anonVma !== from.anonVma && ' +
          'anonVma.childCount + anonVma.activeVmaCount < 2',
      },
    ],
    steps: [...REUSED, { op: 'exit', p: 1 }, ...forks([2, 3], [3, 4])],
    broken: 'anon-vma.merge-assumption',
  },
  {
    name: 'B9 a clone that runs out of memory uncounts an anon_vma that it did not count',
    edits: [
      {
        file: 'rmap/anon_vma_clone.ts',
        rule: '  to.anonVma = undefined;\n  yield* unlinkAnonVmas',
        wrong: '  yield* unlinkAnonVmas',
      },
    ],
    steps: [
      ...REUSED,
      { op: 'exit', p: 1 },
      // The VMA and two edges can be had, the third edge cannot: the anon_vma is picked by then.
      ({ kernel }) => void (kernel.failAllocation = 4),
      ...forks([2, 3]),
    ],
    broken: 'anon-vma.active',
  },
  {
    name: 'B10 mremap merges faulted pages into an unfaulted VMA and leaves it without anon_vma',
    edits: [
      {
        file: 'vm/vma_merge.ts',
        rule: '    const failed = yield* dupAnonVma(kernel, previous, source);',
        wrong: '    const failed = 0;',
      },
    ],
    steps: [
      ...written(64, 4),
      { op: 'mremap', p: 0, at: 64, n: 4, new: 4, to: 128, flags: 'fixed' },
      ...mapped(60, 4),
      { op: 'mremap', p: 0, at: 128, n: 4, new: 4, to: 64, flags: 'fixed' },
    ],
    broken: 'vma.no-anon-without-anon-vma',
  },
  {
    name: 'B11 the same merge in a fork child takes over the own anon_vma only',
    edits: [
      {
        file: 'vm/vma_merge.ts',
        rule: 'return source === undefined || range.isGrowth === true || !isForkChild(source);',
        wrong: 'return true;',
      },
      {
        file: 'vm/vma_merge.ts',
        rule: '  return yield* anonVmaClone(kernel, to, from);',
        wrong:
          '  const { anonVmaChain } = from;\n' +
          '  from.anonVmaChain = anonVmaChain.slice(0, 1);\n' +
          '  const failed = yield* anonVmaClone(kernel, to, from);\n' +
          '  from.anonVmaChain = anonVmaChain;\n' +
          '  return failed;',
      },
    ],
    steps: [
      ...written(64, 4),
      ...forks([0, 1]),
      { op: 'mremap', p: 1, at: 64, n: 4, new: 4, to: 128, flags: 'fixed' },
      { op: 'mmap', p: 1, at: 60, n: 4, prot: 'rw', flags: 'private|anon' },
      { op: 'mremap', p: 1, at: 128, n: 4, new: 4, to: 64, flags: 'fixed' },
    ],
    broken: 'anon-vma.ancestry',
  },
  {
    name: 'B12 three VMAs become one and the anon_vma of the middle one is forgotten',
    edits: [
      {
        file: 'vm/vma_merge.ts',
        rule: 'next.anonVma === undefined ? middle : next',
        wrong: 'next',
      },
      // Without the assertion that would notice first.
      {
        file: 'rmap/anon_vma_clone.ts',
        rule: 'if (removed.anonVma !== undefined && removed.anonVma !== survivor.anonVma) {',
        wrong: 'if (removed.anonVma === null) {',
      },
    ],
    steps: [
      ...mapped(0, 12),
      { op: 'mprotect', p: 0, at: 4, n: 4, prot: 'r' },
      { op: 'mprotect', p: 0, at: 4, n: 4, prot: 'rwx' },
      { op: 'write', p: 0, at: 4, n: 4, v: 3 },
      { op: 'mprotect', p: 0, at: 4, n: 4, prot: 'rw' },
    ],
    broken: 'vma.no-anon-without-anon-vma',
  },
  {
    name: 'C fork takes no reference on the root',
    edits: [{ file: 'rmap/anon_vma_clone.ts', rule: '  anonVma.root.refcount += 1;\n', wrong: '' }],
    steps: [...written(0, 4), ...forks([0, 1])],
    broken: 'anon-vma.refcount',
  },
  {
    name: 'C an emptied anon_vma is still counted by its parent',
    edits: [
      {
        file: 'rmap/anon_vma_clone.ts',
        rule: '      anonVma.parent.childCount -= 1;\n',
        wrong: '',
      },
    ],
    steps: [...written(0, 4), ...forks([0, 1]), { op: 'exit', p: 1 }],
    broken: 'anon-vma.children',
  },
  {
    name: 'C a merge sets the anon_vma and does not connect the VMA',
    edits: [
      {
        file: 'vm/vma_merge.ts',
        rule: '  return yield* anonVmaClone(kernel, to, from);',
        wrong: '  return 0;',
      },
    ],
    steps: [
      ...mapped(0, 8),
      { op: 'mprotect', p: 0, at: 4, n: 4, prot: 'rwx' },
      { op: 'write', p: 0, at: 4, n: 4, v: 3 },
      { op: 'mprotect', p: 0, at: 4, n: 4, prot: 'rw' },
    ],
    broken: 'anon-vma.chain',
  },
  {
    name: 'C the range of a VMA changes under its edges',
    edits: [
      {
        file: 'vm/vma_range.ts',
        rule: '  removeKeys(kernel, vma);\n  vma.start = start;',
        wrong: '  vma.start = start;',
      },
      {
        file: 'vm/vma_range.ts',
        rule: '  vma.pgoff = pgoff;\n  insertKeys(kernel, vma);',
        wrong: '  vma.pgoff = pgoff;',
      },
    ],
    steps: [...written(0, 8), { op: 'mprotect', p: 0, at: 2, n: 2, prot: 'r' }],
    broken: 'anon-vma.edges',
  },
  {
    name: 'C mremap gives a faulted VMA the offset of its new address',
    edits: [
      {
        file: 'vm/copy_vma.ts',
        rule: 'isUntouched ? to : vma.pgoff + (at - vma.start)',
        wrong: 'to',
      },
    ],
    steps: [...written(0, 4), { op: 'mremap', p: 0, at: 0, n: 4, new: 4, to: 64, flags: 'fixed' }],
    broken: 'reach.anonymous',
  },
];
