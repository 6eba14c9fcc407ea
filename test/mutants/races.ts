import type { Machine } from '../../src/kernel/machine.js';
import { PTE_DIRTY } from '../../src/kernel/pgtable/pte.js';
import { REGION_START } from './judge.js';
import type { Edit } from './kernel_loader.js';
import type { Race } from './race.js';
import { forks, mapped, written } from './steps.js';

/** The entry of a page of process 0 becomes dirty, by means that this engine does not have. */
function dirtyEntry(at: number) {
  return ({ kernel }: Machine): void => {
    const pgd = kernel.processes.get(0)?.mm.pgd ?? -1;
    kernel.pageTables.flags[kernel.pageTables.findLeaf(pgd, at + REGION_START)] |= PTE_DIRTY;
  };
}

/** A forced write whose fault broke the sharing takes a dirty entry for its own copy (2016–2022). */
const TRUSTS_DIRTY: readonly Edit[] = [
  {
    file: 'fault/gup.ts',
    rule: '    const result = yield* handleMmFault(kernel, vma, vpn, faultFlags);\n',
    wrong:
      '    const result = yield* handleMmFault(kernel, vma, vpn, faultFlags);\n' +
      '    if ((faultFlags & FAULT_WRITE) !== 0) flags |= 1 << 30;\n',
  },
  {
    file: 'fault/gup.ts',
    rule: 'if (isSpecial || !canFollowWrite(kernel, vma, pte, base, flags)) return NEEDS_FAULT;',
    wrong: 'if ((flags & (1 << 30)) === 0 || (pte & PTE_DIRTY) === 0) return NEEDS_FAULT;',
  },
];

const FILE = [
  { op: 'file', id: 'f', n: 1, kind: 'memfd' },
  { op: 'filewrite', file: 'f', at: 0, n: 1, v: 5 },
  { op: 'mmap', p: 0, at: 0, n: 1, prot: 'r', flags: 'private', file: 'f', off: 0 },
  { op: 'read', p: 0, at: 0, n: 1 },
] as const;
const FORCED_WRITE = { op: 'mem_write', p: 0, at: 0, n: 1, v: 9 } as const;
const DONTNEED = { op: 'madvise', p: 0, at: 0, n: 1, advice: 'dontneed' } as const;
const READ = { op: 'read', p: 0, at: 0, n: 1 } as const;

/** Bugs that need another CPU at the wrong moment (spec 90 B 1–3, 6, 7, 13, 14, C). */
export const RACES: readonly Race[] = [
  {
    name: 'B1 CVE-2016-5195 Dirty COW: the retry after a forced write fault asks for reading only',
    edits: [
      {
        file: 'fault/gup.ts',
        rule: '    const result = yield* handleMmFault(kernel, vma, vpn, faultFlags);\n',
        wrong:
          '    const result = yield* handleMmFault(kernel, vma, vpn, faultFlags);\n' +
          '    if ((faultFlags & FAULT_WRITE) !== 0) flags &= ~FOLL_WRITE;\n',
      },
    ],
    setUp: FILE,
    first: FORCED_WRITE,
    second: [DONTNEED],
    afterwards: [{ op: 'fileread', file: 'f', at: 0, n: 1 }],
    broken: 'content.shadow-memory',
  },
  {
    name: 'B2 CVE-2017-1000405: a dirty huge zero page passes for a broken COW',
    edits: TRUSTS_DIRTY,
    setUp: [
      { op: 'config', key: 'thp', value: 'always' },
      { op: 'mmap', p: 0, at: 0, n: 512, prot: 'r', flags: 'private|anon' },
      { op: 'read', p: 0, at: 0, n: 1 },
      ...mapped(1024, 512),
      { op: 'read', p: 0, at: 1024, n: 1 },
    ],
    first: FORCED_WRITE,
    second: [{ ...DONTNEED, n: 512 }, READ, dirtyEntry(0)],
    broken: 'content.shadow-memory',
  },
  {
    name: 'B3 CVE-2022-2590: a dirty page of the cache passes for a broken COW',
    edits: TRUSTS_DIRTY,
    setUp: FILE,
    first: FORCED_WRITE,
    second: [DONTNEED, READ, dirtyEntry(0)],
    afterwards: [{ op: 'fileread', file: 'f', at: 0, n: 1 }],
    broken: 'content.shadow-memory',
  },
  {
    name: 'B6 GUP-fast does not look again whether the entry is still there',
    edits: [
      {
        file: 'fault/gup_fast.ts',
        rule: '  if (!isSame || longtermFile) {',
        wrong: '  if (longtermFile) {',
      },
    ],
    setUp: [...written(0, 4), { op: 'madvise', p: 0, at: 0, n: 4, advice: 'mergeable' }],
    first: { op: 'pin', p: 0, at: 1, n: 1, id: 0 },
    second: [{ op: 'ksm', scans: 3 }],
    broken: 'exclusive.pinned',
  },
  {
    name: 'B7 GUP-fast pins while fork, which saw no pins, shares the page',
    // fork as other CPUs may see it: the flag is read long before the entries are.
    setting: [
      {
        file: 'fault/copy_page_range.ts',
        rule: 'parent.mm.hasPinned ? GUP_PIN_COUNTING_BIAS',
        wrong: 'child.mm.hasPinned ? GUP_PIN_COUNTING_BIAS',
      },
      {
        file: 'syscalls/fork.ts',
        rule: '    yield* downWrite(child.pageTableLock);\n',
        wrong:
          '    child.hasPinned = parent.hasPinned;\n    yield* downWrite(child.pageTableLock);\n',
      },
    ],
    edits: [
      {
        file: 'fault/gup_fast.ts',
        rule: 'if (isPin && sequence % 2 === 1) {',
        wrong: 'if (isPin && sequence < 0) {',
      },
      {
        file: 'fault/gup_fast.ts',
        rule: 'if (mm.writeProtectSeq !== sequence) {',
        wrong: 'if (mm.writeProtectSeq < 0) {',
      },
    ],
    setUp: written(0, 1),
    first: { op: 'fork', p: 0, c: 1 },
    second: [{ op: 'pin', p: 0, at: 0, n: 1, id: 0 }],
    broken: 'exclusive.pinned',
  },
  {
    name: 'B13 a fault under the VMA lock borrows the anon_vma of a neighbour that goes away',
    edits: [
      {
        file: 'fault/anon_prepare.ts',
        rule: '  if (isVmaLocked && !(yield* downReadTrylock(mmapLock))) return VM_FAULT_RETRY;\n',
        wrong: '',
      },
      {
        file: 'fault/anon_prepare.ts',
        rule: '  if (isVmaLocked) yield* upRead(mmapLock);\n',
        wrong: '',
      },
    ],
    setUp: [
      ...written(0, 4),
      { op: 'mmap', p: 0, at: 4, n: 4, prot: 'rwx', flags: 'private|anon' },
    ],
    first: { op: 'write', p: 0, at: 4, n: 1, v: 8 },
    second: [{ op: 'munmap', p: 0, at: 0, n: 4 }],
    broken: 'anon-vma.edges',
  },
  {
    name: 'B14 mremap moves entries without the rmap locks: the walk back misses a migration entry',
    setting: [
      {
        file: 'fault/move_page_tables.ts',
        rule: "import { downWrite, upWrite, type Op } from '../op/prims.js';",
        wrong: "import { downWrite, upWrite, writePoint, type Op } from '../op/prims.js';",
      },
      {
        file: 'fault/move_page_tables.ts',
        rule: '    if (needRmapLocks) yield* lockRmap(oldVma);\n',
        wrong:
          "    yield* writePoint('move', from);\n    if (needRmapLocks) yield* lockRmap(oldVma);\n",
      },
    ],
    edits: [
      {
        file: 'fault/move_page_tables.ts',
        rule: '    if (needRmapLocks) yield* lockRmap(oldVma);\n',
        wrong: '',
      },
      {
        file: 'fault/move_page_tables.ts',
        rule: '    if (needRmapLocks) yield* unlockRmap(oldVma);\n',
        wrong: '',
      },
    ],
    setUp: [
      ...mapped(0, 8),
      { op: 'write', p: 0, at: 4, n: 1, v: 7 },
      { op: 'mremap', p: 0, at: 4, n: 4, new: 4, to: 100, flags: 'fixed' },
    ],
    first: { op: 'compact' },
    second: [{ op: 'mremap', p: 0, at: 100, n: 4, new: 4, to: 4, flags: 'fixed' }],
    secondWaitsAt: ({ object }) => object === 'move',

    broken: 'reach.no-leftover',
  },
  {
    name: 'C fork during a migration leaves the migration entries exclusive',
    edits: [
      {
        file: 'fault/copy_page_range.ts',
        rule: 'if (kind !== KIND_MIGRATION_READ && isCowMapping(parent.flags)) {',
        wrong: 'if (kind < 0) {',
      },
      // Without the assertion that would notice first.
      {
        file: 'rmap/folio_rmap_add.ts',
        rule: 'function failExclusive(pfn: number): never {\n  fail(',
        wrong: 'function failExclusive(pfn: number): void {\n  void (',
      },
    ],
    setUp: written(0, 1),
    first: { op: 'move_pages', p: 0, at: 0, n: 1, node: 1, all: 1 },
    second: forks([0, 1]),
    broken: 'exclusive.single-mapping',
    profile: { nodePages: [4096] },
  },
];
