import type { Mutant } from './mutant.js';
import { forks, mapped, written } from './steps.js';

const READ_ONLY = { op: 'mprotect', p: 0, at: 4, n: 2, prot: 'r' } as const;
const WRITABLE = { ...READ_ONLY, prot: 'rw' } as const;

/** VMAs that an operation should merge and leaves apart (spec 10 §9.3, 90 A6 46). */
export const MERGE_MUTANTS: readonly Mutant[] = [
  {
    name: 'A46 new memory does not join what lies behind it',
    edits: [
      {
        file: 'vm/vma_merge.ts',
        rule: '    next.start === range.end &&\n',
        wrong: '    next.start < range.end &&\n',
      },
    ],
    steps: [...written(4, 4), ...mapped(0, 4)],
    broken: 'vma.merged',
  },
  {
    name: 'A46 memory that fills a hole joins its lower neighbour only',
    edits: [
      {
        file: 'vm/vma_merge.ts',
        rule: 'return a === b || a === undefined || b === undefined;',
        wrong: 'return a === b && a !== undefined;',
      },
    ],
    steps: [...written(0, 4), ...mapped(6, 4), ...mapped(4, 2)],
    broken: 'vma.merged',
  },
  {
    name: 'A46 a range that ends where its VMA does is not offered to the next one',
    edits: [
      {
        file: 'vm/vma_merge.ts',
        rule: 'if (!startsHere && !endsHere) return 0;',
        wrong: 'if (!startsHere) return 0;',
      },
    ],
    steps: [
      ...written(0, 10),
      { ...READ_ONLY, at: 4, n: 6 },
      { ...WRITABLE, at: 8, n: 2 },
      { ...READ_ONLY, at: 2, n: 2 },
    ],
    broken: 'vma.merged',
  },
  {
    name: 'A46 VMAs of the parent count as those of a fork child once they are touched',
    edits: [
      {
        file: 'vm/vma_merge.ts',
        rule: 'return vma.anonVma !== undefined && vma.anonVmaChain.length !== 1;',
        wrong: 'return vma.anonVma !== undefined;',
      },
    ],
    steps: [...written(0, 4), ...forks([0, 1]), ...mapped(4, 4)],
    broken: 'vma.merged',
  },
  {
    name: 'A46 a fork child that grows in place does not absorb what it comes up to',
    edits: [
      {
        file: 'vm/vma_merge.ts',
        rule: 'range.isGrowth === true || !isForkChild(source)',
        wrong: '!isForkChild(source)',
      },
    ],
    steps: [
      ...written(0, 4),
      ...forks([0, 1]),
      { op: 'mmap', p: 1, at: 8, n: 4, prot: 'rw', flags: 'private|anon' },
      { op: 'mremap', p: 1, at: 0, n: 4, new: 8, flags: 'none' },
    ],
    broken: 'vma.merged',
  },
  {
    name: 'A46 soft-dirty memory does not join what is clean',
    edits: [
      {
        file: 'vm/vma_merge.ts',
        rule: 'const MERGE_IGNORES = VM_SOFTDIRTY | VM_MAYBE_GUARD;',
        wrong: 'const MERGE_IGNORES = VM_MAYBE_GUARD;',
      },
    ],
    profile: { softDirty: true },
    steps: [...mapped(0, 4), { op: 'clear_refs', p: 0, what: 'soft_dirty' }, ...mapped(4, 4)],
    broken: 'vma.merged',
  },
  {
    name: 'A46 memory that may hold guards does not join what holds none',
    edits: [
      {
        file: 'vm/vma_merge.ts',
        rule: 'const MERGE_IGNORES = VM_SOFTDIRTY | VM_MAYBE_GUARD;',
        wrong: 'const MERGE_IGNORES = VM_SOFTDIRTY;',
      },
    ],
    steps: [
      ...written(0, 4),
      { op: 'madvise', p: 0, at: 1, n: 1, advice: 'guard_install' },
      ...mapped(4, 4),
    ],
    broken: 'vma.merged',
  },
  {
    name: 'A46 a merge forgets that the part that it swallowed may hold guards',
    edits: [
      {
        file: 'vm/vma_merge.ts',
        rule: '  vma.flags |= flags & VM_MAYBE_GUARD;',
        wrong: '  vma.flags |= flags & 0;',
      },
    ],
    steps: [
      ...mapped(4, 4),
      { op: 'madvise', p: 0, at: 5, n: 1, advice: 'guard_install' },
      { op: 'mprotect', p: 0, at: 4, n: 4, prot: 'r' },
      ...mapped(0, 4),
      { op: 'mprotect', p: 0, at: 4, n: 4, prot: 'rw' },
    ],
    broken: 'vma.guard-flag',
    claim: {
      id: 'vma.guard-flag',
      claim: 'a VMA with guards says that it may have some',
      holds: ({ kernel }) =>
        kernel.processes.get(0)?.mm.vmas.some(({ flags }) => (flags & (1 << 11)) !== 0) === true,
    },
  },
  {
    name: 'A45 mremap moves untouched memory and keeps its offset',
    edits: [
      {
        file: 'vm/copy_vma.ts',
        rule: 'const pgoff = isUntouched ? to : vma.pgoff + (at - vma.start);',
        wrong: 'const pgoff = vma.pgoff + (at - vma.start);',
      },
    ],
    steps: [...mapped(0, 4), { op: 'mremap', p: 0, at: 0, n: 4, new: 4, to: 100, flags: 'fixed' }],
    broken: 'vma.untouched-offset',
  },
  {
    name: 'A44 mprotect of a part moves the whole VMA to another kind',
    edits: [
      {
        file: 'syscalls/mprotect.ts',
        rule: '  vmStatAccount(vma.mm, newFlags, end - start);\n',
        wrong: '  vmStatAccount(vma.mm, newFlags, changed.lengthPages);\n',
      },
    ],
    steps: [...written(0, 10), READ_ONLY, { op: 'mprotect', p: 0, at: 0, n: 4, prot: 'r' }],
    broken: 'mm.sizes',
  },
  {
    name: 'A44 a stack grows and its new pages are not counted as locked',
    edits: [
      {
        file: 'vm/stack_growth.ts',
        rule: '  accountPages(vma.mm, vma.flags, grownPages);\n',
        wrong: '  vma.mm.totalPages += grownPages;\n  vma.mm.stackPages += grownPages;\n',
      },
    ],
    steps: [
      { op: 'mmap', p: 0, at: 1000, n: 4, prot: 'rw', flags: 'private|anon|growsdown' },
      { op: 'mlock', p: 0, at: 1000, n: 4 },
      { op: 'write', p: 0, at: 998, n: 1, v: 1 },
    ],
    broken: 'mm.sizes',
  },
];
