import type { Mutant } from './mutant.js';
import { forks, hugeFolio, largeFolio, written } from './steps.js';

/** Map counts, mm-id slots, statistics and queues (spec 90 B 32, 40, C). */
export const COUNT_MUTANTS: readonly Mutant[] = [
  {
    name: 'B32 a zero page of ksmd is unmapped and stays counted',
    edits: [
      {
        file: 'fault/zap.ts',
        rule: 'vma.mm.ksmZeroPages -= 1',
        wrong: 'vma.mm.ksmZeroPages -= 0',
      },
    ],
    steps: [
      { op: 'config', key: 'ksm_zero', value: 1 },
      { op: 'mmap', p: 0, at: 0, n: 4, prot: 'rw', flags: 'private|anon' },
      { op: 'write', p: 0, at: 0, n: 4, v: 0 },
      { op: 'madvise', p: 0, at: 0, n: 4, advice: 'mergeable' },
      { op: 'ksm', scans: 3 },
      { op: 'munmap', p: 0, at: 0, n: 2 },
    ],
    broken: 'counts.ksm-zero-pages',
  },
  {
    name: 'B40 a folio that is freed or split stays on its split queue (CVE-2024-53079)',
    edits: [
      {
        file: 'thp/deferred.ts',
        rule: '  return dequeueDeferredSplit(kernel, head);\n}\n\n/** Counts',
        wrong: '  return false;\n}\n\n/** Counts',
      },
    ],
    steps: [
      ...largeFolio(0),
      { op: 'munmap', p: 0, at: 0, n: 4 },
      { op: 'munmap', p: 0, at: 4, n: 12 },
    ],
    broken: 'counts.deferred-split',
  },
  {
    name: 'C a fork that shares a huge PMD counts it as 512 PTEs',
    edits: [
      {
        file: 'rmap/folio_rmap_dup.ts',
        rule: '  dupEntire(kernel, head, childVma);\n  return 0;',
        wrong: '  dupLargePtes(kernel, head, head, PAGES_PER_PMD, childVma);\n  return 0;',
      },
    ],
    steps: [...hugeFolio(512), ...forks([0, 1])],
    broken: 'counts.large-mapcount',
  },
  {
    name: 'C the second mm that maps a large folio does not mark it shared',
    edits: [
      {
        file: 'rmap/large_mapcount.ts',
        rule: '    setSlot1(kernel, row, mmId, diff);\n    large.shared[row] = 1;',
        wrong: '    setSlot1(kernel, row, mmId, diff);\n    large.shared[row] = 0;',
      },
    ],
    steps: [...largeFolio(0), ...forks([0, 1])],
    broken: 'mm-ids.no-false-exclusive',
  },
  {
    name: 'C the count of a slot may fall below zero',
    edits: [
      {
        file: 'rmap/large_mapcount.ts',
        rule: '    // Mappings made while no slot was free are uncounted, so the count may fall below zero.\n    if (ownSlotRemains) large.mmIdMapcount0[row] = count;',
        wrong: '    if (count !== 0) large.mmIdMapcount0[row] = count;',
      },
    ],
    // Spec 20 §4.6 e, k, l: the third mm gets a slot when the first is gone, for its last page.
    steps: [
      { op: 'file', id: 'f', n: 16, kind: 'memfd' },
      { op: 'config', key: 'shmem_mthp.64kB', value: 'always' },
      { op: 'mmap', p: 0, at: 0, n: 16, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
      { op: 'write', p: 0, at: 0, n: 16, v: 7 },
      ...forks([0, 1], [0, 2]),
      { op: 'read', p: 1, at: 0, n: 16 },
      { op: 'read', p: 2, at: 0, n: 16 },
      { op: 'madvise', p: 2, at: 0, n: 1, advice: 'dontneed' },
      { op: 'exit', p: 0 },
      { op: 'read', p: 2, at: 0, n: 1 },
      { op: 'munmap', p: 2, at: 0, n: 2 },
    ],
    broken: 'mm-ids.slot-mapcount',
  },
  {
    name: 'C a forked page keeps the write bit in the parent',
    edits: [
      {
        file: 'fault/copy_page_range.ts',
        rule: 'const parentClears = isCow ? PTE_WRITE : 0;',
        wrong: 'const parentClears = 0;',
      },
    ],
    steps: [...written(0, 4), ...forks([0, 1])],
    broken: 'exclusive.writable',
  },
];
