import type { Machine } from '../../src/kernel/machine.js';
import { PG_MLOCKED, PG_SWAPBACKED } from '../../src/kernel/phys/page_flags.js';
import { PTE_PRESENT } from '../../src/kernel/pgtable/pte.js';
import { REGION_START } from './judge.js';
import type { Mutant } from './mutant.js';
import { forks, largeFolio, mapped, written } from './steps.js';

/** Flags of the folio that process 0 maps at a page; undefined if none. */
function folioFlagsAt({ kernel }: Machine, at: number): number | undefined {
  const { memory, pageTables, processes } = kernel;
  const entry = pageTables.findLeaf(processes.get(0)?.mm.pgd ?? -1, at + REGION_START);
  if ((pageTables.flags[entry] & PTE_PRESENT) === 0) return undefined;
  return memory.flags[memory.folioOf(pageTables.payload[entry])];
}

/** Folios across page tables, VMAs and the end of a file (spec 90 B 23, 26, 35, 41, 43, 44, C). */
export const LARGE_MUTANTS: readonly Mutant[] = [
  {
    name: 'B23 a batch of entries to unmap is as long as the folio, across the end of the table',
    edits: [
      {
        file: 'rmap/unmap_entries.ts',
        rule: '    vma.end - walk.vpn,\n    ENTRIES_PER_TABLE - tableIndex(walk.vpn),\n',
        wrong: '',
      },
    ],
    steps: [
      { op: 'config', key: 'shmem_mthp.64kB', value: 'always' },
      { op: 'swapon', kind: 'zram' },
      { op: 'file', id: 'f', n: 16, kind: 'memfd' },
      ...forks([0, 1]),
      { op: 'memcg', p: 0, on: 1 },
      { op: 'mmap', p: 0, at: 2048, n: 16, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
      { op: 'write', p: 0, at: 2048, n: 16, v: 7 },
      // Process 1 has its upper tables, so that its next one lies behind the next of process 0.
      { op: 'mmap', p: 1, at: 2048, n: 1, prot: 'rw', flags: 'private|anon' },
      { op: 'write', p: 1, at: 2048, n: 1, v: 5 },
      { op: 'mmap', p: 0, at: 504, n: 8, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
      { op: 'mmap', p: 1, at: 512, n: 8, prot: 'rw', flags: 'shared', file: 'f', off: 8 },
      { op: 'read', p: 0, at: 504, n: 8 },
      { op: 'read', p: 1, at: 512, n: 8 },
      // So that the unmapping does not count as use.
      { op: 'madvise', p: 0, at: 2048, n: 16, advice: 'random' },
      { op: 'munmap', p: 0, at: 2048, n: 16 },
      { op: 'reclaim' },
    ],
    broken: 'counts.rss',
  },
  {
    name: 'B26 a lazyfree page that somebody looks at is lazyfree no more',
    edits: [
      {
        file: 'rmap/unmap_entries.ts',
        rule: '  return memory.refcount[head] === folioMapcount(kernel, head) + 1;',
        wrong:
          '  if (memory.refcount[head] === folioMapcount(kernel, head) + 1) return true;\n' +
          '  kernel.lru.change(head, PG_SWAPBACKED, 0);\n' +
          '  return false;',
      },
    ],
    steps: [
      { op: 'swapon', kind: 'zram' },
      ...written(0, 1),
      { op: 'vmsplice', p: 0, at: 0, n: 1, id: 0 },
      { op: 'madvise', p: 0, at: 0, n: 1, advice: 'free' },
      { op: 'madvise', p: 0, at: 0, n: 1, advice: 'pageout' },
    ],
    broken: 'lazyfree.stays',
    claim: {
      id: 'lazyfree.stays',
      claim: 'a page that was given up and not written since is still lazyfree',
      holds: (machine) => ((folioFlagsAt(machine, 0) ?? PG_SWAPBACKED) & PG_SWAPBACKED) === 0,
    },
  },
  {
    name: 'B35 the copy of the huge PMD of a file counts 512 entries',
    // fork leaves huge entries of files to faults; here it copies them.
    setting: [
      {
        file: 'thp/copy_pmd.ts',
        rule: "import { folioTryDupAnonRmapPmd } from '../rmap/folio_rmap.js';",
        wrong:
          "import { folioDupFileRmapPmd, folioTryDupAnonRmapPmd } from '../rmap/folio_rmap.js';",
      },
      {
        file: 'thp/copy_pmd.ts',
        rule: '  if (!isAnonymous(child)) return 0;\n',
        wrong:
          '  if (!isAnonymous(child)) {\n' +
          '    const copy = kernel.pageTables.allocPmd(child.mm.pgd, vpn);\n' +
          '    const shown = kernel.pageTables.payload[pmd];\n' +
          '    folioGet(kernel, shown);\n' +
          '    folioDupFileRmapPmd(kernel, shown, child);\n' +
          '    kernel.pageTables.payload[copy] = shown;\n' +
          '    kernel.pageTables.flags[copy] = kernel.pageTables.flags[pmd];\n' +
          '    child.mm.rss[3] += PAGES_PER_PMD;\n' +
          '    return 1;\n' +
          '  }\n',
      },
      {
        file: 'fault/copy_page_range.ts',
        rule: '  if (!needsCopy(child, parent)) return 0;\n',
        wrong: '  if (parent.file === undefined && !needsCopy(child, parent)) return 0;\n',
      },
    ],
    edits: [
      {
        file: 'rmap/folio_rmap_dup.ts',
        rule: '  asInHeader = false,',
        wrong: '  asInHeader = true,',
      },
    ],
    steps: [
      { op: 'config', key: 'shmem_thp', value: 'always' },
      { op: 'file', id: 'f', n: 512, kind: 'memfd' },
      { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
      { op: 'write', p: 0, at: 512, n: 1, v: 7 },
      ...forks([0, 1]),
    ],
    broken: 'counts.large-mapcount',
  },
  {
    name: 'B41 fault-around maps a large folio beyond the end of its file',
    edits: [
      {
        file: 'fault/file.ts',
        rule: 'const limit = Math.min(to, page + mapping.sizePages - index);',
        wrong: 'const limit = to;',
      },
    ],
    steps: [
      { op: 'config', key: 'shmem_mthp.64kB', value: 'always' },
      { op: 'file', id: 'f', n: 4, kind: 'memfd' },
      { op: 'mmap', p: 0, at: 0, n: 16, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
      { op: 'write', p: 0, at: 2, n: 1, v: 7 },
      { op: 'mmap', p: 0, at: 100, n: 12, prot: 'r', flags: 'private', file: 'f', off: 0 },
      { op: 'read', p: 0, at: 100, n: 1 },
    ],
    broken: 'file.nothing-behind-end',
    claim: {
      id: 'file.nothing-behind-end',
      claim: 'an access behind the end of the file finds nothing mapped',
      holds: (machine) => folioFlagsAt(machine, 108) === undefined,
    },
  },
  {
    name: 'B43 a folio whose entries lie in two tables is mlocked though each lock covers one',
    edits: [
      {
        file: 'rmap/try_to_unmap.ts',
        rule: 'if (!isWhole || (!isPmd && (walk.flags & PVMW_PGTABLE_CROSSED) !== 0)) continue;',
        wrong: 'if (!isWhole) continue;',
      },
    ],
    steps: [
      { op: 'swapon', kind: 'zram' },
      ...largeFolio(0),
      { op: 'mremap', p: 0, at: 0, n: 16, new: 16, to: 504, flags: 'fixed' },
      { op: 'mlock', p: 0, at: 504, n: 16 },
      { op: 'swap_out', p: 0, at: 504, n: 1 },
    ],
    build: 'check',
    broken: 'mlock.one-table',
    claim: {
      id: 'mlock.one-table',
      claim: 'a folio that no single table maps as a whole is not mlocked',
      holds: (machine) => ((folioFlagsAt(machine, 504) ?? 0) & PG_MLOCKED) === 0,
    },
  },
  {
    name: 'B44 reclaim finds a locked folio that lost its lock and does not give it back',
    edits: [
      {
        file: 'rmap/try_to_unmap.ts',
        rule: '      mlockVmaFolio(kernel, head, vma);\n',
        wrong: '',
      },
    ],
    steps: [
      { op: 'swapon', kind: 'zram' },
      ...largeFolio(0),
      { op: 'mlock', p: 0, at: 0, n: 16 },
      // The folio is unlocked with the first of its pages, and not locked by one page again.
      { op: 'munlock', p: 0, at: 0, n: 1 },
      { op: 'mlock', p: 0, at: 0, n: 1 },
      { op: 'swap_out', p: 0, at: 0, n: 1 },
    ],
    build: 'check',
    broken: 'mlock.restored',
    claim: {
      id: 'mlock.restored',
      claim: 'a folio of locked memory is mlocked once reclaim has come by',
      holds: (machine) => ((folioFlagsAt(machine, 0) ?? 0) & PG_MLOCKED) !== 0,
    },
  },
  {
    name: 'C an anon_vma with two children is used again',
    edits: [
      {
        file: 'rmap/anon_vma_clone.ts',
        rule: 'return anonVma.childCount < 2 &&',
        wrong: 'return anonVma.childCount < 3 &&',
      },
    ],
    steps: [
      ...mapped(0, 4),
      { op: 'write', p: 0, at: 0, n: 4, v: 7 },
      ...forks([0, 1], [1, 2], [1, 3]),
      { op: 'exit', p: 1 },
      ...forks([2, 4]),
      { op: 'write', p: 4, at: 0, n: 1, v: 8 },
    ],
    broken: 'anon-vma.one-branch',
    claim: {
      id: 'anon-vma.one-branch',
      claim: 'a walk from a page of one branch visits no other branch',
      holds: ({ kernel }) => {
        const own = kernel.processes.get(4)?.mm.vmas[0].anonVma;
        const other = kernel.processes.get(3)?.mm.vmas[0].anonVmaChain ?? [];
        return !other.some(({ anonVma }) => anonVma === own);
      },
    },
  },
];
