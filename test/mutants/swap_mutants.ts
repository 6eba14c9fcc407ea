import type { Mutant } from './mutant.js';
import { forks, inGroup, written } from './steps.js';

const SWAP = { op: 'swapon', kind: 'zram' } as const;
const PAGEOUT = { op: 'madvise', p: 0, at: 0, n: 4, advice: 'pageout' } as const;

const RECLAIM = { op: 'reclaim' } as const;

/** Swap entries, swap cache, KSM in swap (spec 90 B 29, 31, 42, C). */
export const SWAP_MUTANTS: readonly Mutant[] = [
  {
    name: 'B29 a KSM page is swapped in as the ordinary page of whoever reads first',
    edits: [
      {
        file: 'swap/ksm_copy.ts',
        rule: 'if (anonVma.root === vma.anonVma?.root && index === linearPageIndex(vma, vpn)) return page;',
        wrong: 'if (index >= 0) return page;',
      },
      // Without the assertion that would notice first.
      {
        file: 'rmap/folio_rmap_add.ts',
        rule: '  checkAnonPosition(kernel, head, page, vma, vpn);\n  const { flags, mapcount }',
        wrong: '  const { flags, mapcount }',
      },
    ],
    steps: [
      SWAP,
      ...inGroup(...written(0, 4), { op: 'madvise', p: 0, at: 0, n: 4, advice: 'mergeable' }),
      { op: 'ksm', scans: 3 },
      RECLAIM,
      { op: 'read', p: 0, at: 0, n: 4 },
    ],
    build: 'check',
    broken: 'reach.anonymous',
  },
  {
    name: 'B42 swapoff maps what several processes share as exclusive',
    edits: [
      {
        file: 'swap/swapoff.ts',
        rule: 'const isExclusive = (oldFlags & PTE_SWP_EXCLUSIVE) !== 0 || isCopy;',
        wrong: 'const isExclusive = true;',
      },
      {
        file: 'rmap/folio_rmap_add.ts',
        rule: 'function failExclusive(pfn: number): never {\n  fail(',
        wrong: 'function failExclusive(pfn: number): void {\n  void (',
      },
    ],
    steps: [SWAP, ...inGroup(...written(0, 4)), ...forks([0, 1]), RECLAIM, { op: 'swapoff' }],
    build: 'check',
    broken: 'exclusive.single-mapping',
  },
  {
    name: 'C a page that comes back not exclusive belongs to the anon_vma of the first reader',
    edits: [
      {
        file: 'rmap/folio_rmap_add.ts',
        rule: 'exclusive ? anonVma : anonVma.root',
        wrong: 'anonVma',
      },
      {
        file: 'rmap/folio_rmap_add.ts',
        rule: '  checkAnonPosition(kernel, head, page, vma, vpn);\n  const { flags, mapcount }',
        wrong: '  const { flags, mapcount }',
      },
    ],
    steps: [
      SWAP,
      ...inGroup(...written(0, 4)),
      ...forks([0, 1]),
      RECLAIM,
      { op: 'read', p: 1, at: 0, n: 4 },
      { op: 'read', p: 0, at: 0, n: 4 },
    ],
    build: 'check',
    broken: 'reach.anonymous',
  },
  {
    name: 'C a page is swapped out and stays exclusive',
    edits: [
      {
        file: 'rmap/unmap_entries.ts',
        rule: 'if (isExclusive && folioTryShareAnonRmapPte(kernel, head, pfn) !== 0) {',
        wrong: 'if (pfn < 0) {',
      },
    ],
    // The pipe keeps the page in the swap cache.
    steps: [
      SWAP,
      ...inGroup(...written(0, 4), { op: 'vmsplice', p: 0, at: 0, n: 1, id: 0 }),
      RECLAIM,
    ],
    build: 'check',
    broken: 'exclusive.not-swapped',
  },
  {
    name: 'C fork keeps the exclusive bit of swap entries',
    edits: [
      {
        file: 'fault/copy_page_range.ts',
        rule: '    flags[from] = pte & ~PTE_SWP_EXCLUSIVE;\n    childFlags &= ~PTE_SWP_EXCLUSIVE;\n',
        wrong: '',
      },
    ],
    steps: [SWAP, ...written(0, 4), PAGEOUT, ...forks([0, 1])],
    broken: 'exclusive.swap-entry',
  },
  {
    name: 'C fork shares a swap slot and does not count it',
    edits: [
      {
        file: 'fault/copy_page_range.ts',
        rule: 'if (!swapDuplicate(kernel, payload[from])) return -ENOMEM;',
        wrong: '',
      },
    ],
    steps: [SWAP, ...written(0, 4), PAGEOUT, ...forks([0, 1])],
    broken: 'counts.swap-slots',
  },
];
