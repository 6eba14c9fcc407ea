import type { Mutant } from './mutant.js';
import { forks, hugeFolio, largeFolio, mapped, written } from './steps.js';

/** Who may write what: copy-on-write, pins, exclusiveness (spec 90 B 4, 5, 6, 24, 30, C). */
export const SHARING_MUTANTS: readonly Mutant[] = [
  {
    name: 'B4 CVE-2020-29374: a page is reused because one process maps it, though a pipe holds it',
    edits: [
      {
        file: 'fault/write_protect.ts',
        rule: '  if (isKsmFolio(kernel, head) || memory.refcount[head] > 3) return false;',
        wrong:
          '  if (isKsmFolio(kernel, head)) return false;\n' +
          '  if (folioMapcount(kernel, head) === 1) {\n' +
          '    folioMoveAnonRmap(kernel, head, vma);\n' +
          '    return true;\n' +
          '  }',
      },
    ],
    steps: [
      ...written(0, 1),
      ...forks([0, 1]),
      { op: 'vmsplice', p: 1, at: 0, n: 1, id: 0 },
      { op: 'munmap', p: 1, at: 0, n: 1 },
      { op: 'write', p: 0, at: 0, n: 1, v: 8 },
      { op: 'vmdrain', p: 1, id: 0, n: 1 },
    ],
    broken: 'content.shadow-memory',
  },
  {
    name: 'B5 a write copies whatever has another reference, exclusive and pinned pages too',
    edits: [
      {
        file: 'fault/write_protect.ts',
        rule: 'if (isExclusive || canReuseAnonFolio(kernel, vma, head)) {',
        wrong: 'if (canReuseAnonFolio(kernel, vma, head)) {',
      },
    ],
    steps: [
      ...written(0, 1),
      ...forks([0, 1]),
      { op: 'exit', p: 1 },
      // The page becomes exclusive for the pin, its entry stays read-only.
      { op: 'pin_read', p: 0, at: 0, n: 1, id: 0, fast: 0 },
      { op: 'write', p: 0, at: 0, n: 1, v: 8 },
    ],
    broken: 'content.shadow-memory',
  },
  {
    name: 'C GUP-fast pins a shared page for reading without making it exclusive (drop B5)',
    edits: [
      {
        file: 'fault/gup_fast.ts',
        rule: 'if (gupMustUnshare(kernel, undefined, flags, base)) {',
        wrong: 'if (pfn < 0) {',
      },
    ],
    steps: [
      ...written(0, 1),
      ...forks([0, 1]),
      { op: 'pin_read', p: 0, at: 0, n: 1, id: 0, fast: 1 },
    ],
    broken: 'exclusive.pinned',
  },
  {
    name: 'B25 a lazyfree page is dropped though a device reads it',
    edits: [
      {
        file: 'rmap/unmap_entries.ts',
        rule: '  return memory.refcount[head] === folioMapcount(kernel, head) + 1;',
        wrong: '  return true;',
      },
    ],
    steps: [
      ...written(0, 1),
      { op: 'pin', p: 0, at: 0, n: 1, id: 0 },
      { op: 'madvise', p: 0, at: 0, n: 1, advice: 'free' },
      { op: 'madvise', p: 0, at: 0, n: 1, advice: 'pageout' },
      { op: 'memcg', p: 0, on: 1 },
      { op: 'reclaim' },
    ],
    broken: 'content.shadow-memory',
  },
  {
    name: 'B24 entries of a lazyfree folio that must stay all get the write bit of the first',
    edits: [
      {
        file: 'rmap/unmap_entries.ts',
        rule: 'const wanted = flags[walk.pte] & (PTE_PRESENT | PTE_WRITE | PTE_SOFT_DIRTY);',
        wrong: 'const wanted = flags[walk.pte] & (PTE_PRESENT | PTE_SOFT_DIRTY);',
      },
      {
        file: 'rmap/unmap_entries.ts',
        rule: '(flags[walk.pte + count] & (PTE_PRESENT | PTE_WRITE | PTE_SOFT_DIRTY)) === wanted',
        wrong: '(flags[walk.pte + count] & (PTE_PRESENT | PTE_SOFT_DIRTY)) === wanted',
      },
    ],
    steps: [
      { op: 'swapon', kind: 'zram' },
      ...largeFolio(0),
      ...forks([0, 1]),
      { op: 'exit', p: 1 },
      // Reuses the first page; the others stay read-only and not exclusive.
      { op: 'write', p: 0, at: 0, n: 1, v: 8 },
      { op: 'madvise', p: 0, at: 0, n: 16, advice: 'free' },
      { op: 'write', p: 0, at: 0, n: 1, v: 9 },
      { op: 'madvise', p: 0, at: 0, n: 16, advice: 'pageout' },
    ],
    broken: 'exclusive.writable',
  },
  {
    name: 'B30 ksmd merges a page that a device writes to',
    edits: [
      {
        file: 'ksm/replace_page.ts',
        rule: 'if (isUsed || (isExclusive && folioTryShareAnonRmapPte(kernel, page, page) !== 0)) {',
        wrong: 'memory.flags[page] &= ~PG_ANON_EXCLUSIVE;\n  if (page < 0) {',
      },
    ],
    steps: [
      ...written(0, 4),
      { op: 'pin', p: 0, at: 0, n: 1, id: 0 },
      { op: 'madvise', p: 0, at: 0, n: 4, advice: 'mergeable' },
      { op: 'ksm', scans: 3 },
    ],
    broken: 'content.shadow-memory',
  },
  {
    name: 'B7 fork shares pinned pages (no copy for the child)',
    edits: [
      {
        file: 'fault/share_run.ts',
        rule: 'if (references >= pinnedReferences) break;',
        wrong: '',
      },
      {
        file: 'rmap/folio_rmap_dup.ts',
        rule: 'if (parentVma.mm.hasPinned && mustCopy(kernel, head, parentVma)) return -EBUSY;',
        wrong: '',
      },
    ],
    steps: [...written(0, 2), { op: 'pin', p: 0, at: 0, n: 1, id: 0 }, ...forks([0, 1])],
    broken: 'exclusive.pinned-unshared',
  },
  {
    name: 'C large folio: fork keeps the pages of the parent exclusive',
    edits: [
      {
        file: 'rmap/folio_rmap_dup.ts',
        rule: '  for (let pfn = page; pfn < end; pfn += 1) flags[pfn] &= ~PG_ANON_EXCLUSIVE;\n',
        wrong: '',
      },
    ],
    steps: [...largeFolio(0), ...forks([0, 1])],
    broken: 'exclusive.single-mapping',
  },
  {
    name: 'C a huge PMD is split and its pages are exclusive, whoever else maps them',
    edits: [
      {
        file: 'thp/split_pmd.ts',
        rule: 'folioAddAnonRmapPtes(kernel, head, head, PAGES_PER_PMD, vma, blockStart, isExclusive);',
        wrong:
          'folioAddAnonRmapPtes(kernel, head, head, PAGES_PER_PMD, vma, blockStart, isExclusive);\n' +
          '    for (let i = 0; i < PAGES_PER_PMD; i += 1) memory.flags[head + i] |= PG_ANON_EXCLUSIVE;',
      },
    ],
    steps: [...hugeFolio(512), ...forks([0, 1]), { op: 'munmap', p: 1, at: 512, n: 1 }],
    broken: 'exclusive.single-mapping',
  },
  {
    name: 'C mprotect makes every entry of a private mapping writable again',
    edits: [
      {
        file: 'fault/change_protection.ts',
        rule: 'if (exclusive !== 0) changed |= PTE_WRITE;',
        wrong: 'changed |= PTE_WRITE;',
      },
    ],
    steps: [
      ...mapped(0, 2),
      { op: 'write', p: 0, at: 0, n: 2, v: 7 },
      ...forks([0, 1]),
      { op: 'mprotect', p: 0, at: 0, n: 2, prot: 'r' },
      { op: 'mprotect', p: 0, at: 0, n: 2, prot: 'rw' },
    ],
    broken: 'exclusive.writable',
  },
];
