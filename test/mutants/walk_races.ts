/** Walks and faults that meet a change half done (spec 90 B 18, 21, 22, 27, 31, 33, 39). */
import type { Machine } from '../../src/kernel/machine.js';
import { folioPut } from '../../src/kernel/phys/folio.js';
import { PTE_PRESENT } from '../../src/kernel/pgtable/pte.js';
import { folioRemoveRmapPmd, folioRemoveRmapPtes } from '../../src/kernel/rmap/folio_rmap.js';
import { findVma, MM_SHMEMPAGES } from '../../src/kernel/vm/mm.js';
import { REGION_START, type Step } from './judge.js';
import type { Race } from './race.js';
import { forks, hugeFolio, largeFolio, written } from './steps.js';

/** Entry of page 0 of process 0, and the mm. */
function firstEntry({ kernel }: Machine) {
  const mm = kernel.processes.get(0)?.mm;
  if (mm === undefined) throw new Error('process 0 is gone');
  return { mm, entry: kernel.pageTables.findPte(mm.pgd, REGION_START) };
}

/** What the half-done change took out of the entry. */
let taken = 0;

/** Another CPU holds the page-table lock and has cleared the entry of page 0. */
function takeEntry(machine: Machine): void {
  const { mm, entry } = firstEntry(machine);
  const { flags } = machine.kernel.pageTables;
  taken = flags[entry];
  flags[entry] = 0;
  mm.pageTableLock.writers = 1;
}

/** It puts the entry back and lets go. */
function putEntryBack(machine: Machine): void {
  const { mm, entry } = firstEntry(machine);
  machine.kernel.pageTables.flags[entry] = taken;
  mm.pageTableLock.writers = 0;
}

/** Process 0 zaps the first 16 pages of file `f`: their entries are gone, their counts are not. */
function beginZap(machine: Machine): void {
  const { mm, entry } = firstEntry(machine);
  machine.kernel.pageTables.flags.fill(0, entry, entry + 16);
  mm.pageTableLock.writers = 1;
}

function finishZap(machine: Machine): void {
  const { kernel } = machine;
  const { mm, entry } = firstEntry(machine);
  const head = kernel.pageTables.payload[entry];
  const vma = findVma(mm, REGION_START);
  if (vma === undefined) throw new Error('page 0 is not mapped');
  folioRemoveRmapPtes(kernel, head, head, 16, vma);
  mm.rss[MM_SHMEMPAGES] -= 16;
  folioPut(kernel, head, 16);
  mm.pageTableLock.writers = 0;
}

/** The same of a folio of 512 pages that one entry maps. */
function beginHugeZap(machine: Machine): void {
  const { kernel } = machine;
  const { mm } = firstEntry(machine);
  kernel.pageTables.flags[kernel.pageTables.findPmd(mm.pgd, REGION_START)] = 0;
  mm.pageTableLock.writers = 1;
}

function finishHugeZap(machine: Machine): void {
  const { kernel } = machine;
  const { mm } = firstEntry(machine);
  const head = kernel.pageTables.payload[kernel.pageTables.findPmd(mm.pgd, REGION_START)];
  const vma = findVma(mm, REGION_START);
  if (vma === undefined) throw new Error('page 0 is not mapped');
  folioRemoveRmapPmd(kernel, head, vma);
  mm.rss[MM_SHMEMPAGES] -= 512;
  folioPut(kernel, head);
  mm.pageTableLock.writers = 0;
}

/** Two processes map a file of one folio; the first is half-way through a zap of it. */
function ofPages(n: 16 | 512, begin: Step): Step[] {
  const key = n === 16 ? 'shmem_mthp.64kB' : 'shmem_thp';
  return [
    { op: 'config', key, value: 'always' },
    { op: 'file', id: 'f', n, kind: 'memfd' },
    { op: 'mmap', p: 0, at: 0, n, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
    { op: 'write', p: 0, at: 0, n, v: 7 },
    ...forks([0, 1]),
    { op: 'read', p: 1, at: 0, n },
    begin,
  ];
}

/** The second process has the folio split, whose unmapping must wait for the zap. */
const SPLIT_BESIDE_ZAP = {
  setUp: ofPages(16, beginZap),
  first: { op: 'soft_offline', p: 1, at: 8, n: 1 },
  second: [finishZap],
  broken: 'split.complete',
  claim: {
    id: 'split.complete',
    claim: 'a folio that nobody else holds can be split, whatever its mappings do',
    holds: (machine: Machine) => {
      const { memory } = machine.kernel;
      return !memory.isLarge(memory.folioOf(machine.file('f').pages.get(4) ?? 0));
    },
  },
} as const;

/** How many of the first 16 pages of process 0 are present. */
function presentPages(machine: Machine): number {
  const { entry } = firstEntry(machine);
  const { flags } = machine.kernel.pageTables;
  return flags.subarray(entry, entry + 16).filter((pte) => (pte & PTE_PRESENT) !== 0).length;
}

const TWO_NODES = { nodePages: [4096] } as const;

export const WALK_RACES: readonly Race[] = [
  {
    name: 'B18 CVE-2024-50066: mremap moves a page table that a collapse has freed meanwhile',
    edits: [
      {
        file: 'fault/move_page_tables.ts',
        rule:
          '        yield* lockRmap(oldVma);\n' +
          '        yield* pageTablesSettled(oldVma.mm);\n' +
          '        const source = pageTables.findPmd(oldPgd, from);\n',
        wrong:
          '        const source = pageTables.findPmd(oldPgd, from);\n' +
          '        const seen = [pageTables.payload[source], pageTables.flags[source]];\n' +
          '        yield* lockRmap(oldVma);\n',
      },
      {
        file: 'fault/move_page_tables.ts',
        rule: 'pageTables.payload[target] = pageTables.payload[source];',
        wrong: 'pageTables.payload[target] = seen[0];',
      },
      {
        file: 'fault/move_page_tables.ts',
        rule: 'movedFlags(kernel, pageTables.flags[source])',
        wrong: 'movedFlags(kernel, seen[1])',
      },
    ],
    setUp: [
      { op: 'file', id: 'f', n: 512, kind: 'memfd' },
      { op: 'mmap', p: 0, at: 0, n: 512, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
      { op: 'write', p: 0, at: 3, n: 1, v: 7 },
      ...forks([0, 1]),
      // Process 1 has its upper tables.
      { op: 'mmap', p: 1, at: 8192, n: 1, prot: 'rw', flags: 'private|anon' },
      { op: 'write', p: 1, at: 8192, n: 1, v: 5 },
    ],
    first: { op: 'mremap', p: 0, at: 0, n: 512, new: 512, to: 1024, flags: 'fixed' },
    second: [
      { op: 'madvise', p: 1, at: 0, n: 512, advice: 'collapse' },
      // Takes the freed table.
      { op: 'mmap', p: 1, at: 4096, n: 4, prot: 'rw', flags: 'private|anon' },
      { op: 'write', p: 1, at: 4096, n: 4, v: 5 },
    ],
    broken: 'counts.page-mapcount',
  },
  {
    ...SPLIT_BESIDE_ZAP,
    name: 'B21 the unmap before a split does not wait for a zap that is half done',
    edits: [
      {
        file: 'rmap/ttu_flags.ts',
        rule: 'TTU_SPLIT_HUGE_PMD | TTU_SYNC | TTU_BATCH_FLUSH | TTU_IGNORE_MLOCK',
        wrong: 'TTU_SPLIT_HUGE_PMD | TTU_BATCH_FLUSH | TTU_IGNORE_MLOCK',
      },
    ],
  },
  {
    ...SPLIT_BESIDE_ZAP,
    name: 'B21 a walk that waits looks at the first entry of a table before it has the lock',
    edits: [
      {
        file: 'rmap/page_vma_mapped.ts',
        rule: '  if ((walk.flags & PVMW_SYNC) !== 0) yield* lock(walk);\n',
        wrong: '',
      },
    ],
  },
  {
    ...SPLIT_BESIDE_ZAP,
    name: 'B21 a walk that waits passes over a huge entry that is gone',
    edits: [
      {
        file: 'rmap/page_vma_mapped.ts',
        rule: 'if ((walk.flags & PVMW_SYNC) === 0 || walk.pageCount < PAGES_PER_PMD) return false;',
        wrong: 'if (walk.pageCount > 0) return false;',
      },
    ],
    setUp: ofPages(512, beginHugeZap),
    second: [finishHugeZap],
  },
  {
    name: 'B22 reclaim passes over the entry of a large folio that is being changed',
    edits: [
      {
        file: 'reclaim/shrink_folio.ts',
        rule: 'return TTU_BATCH_FLUSH | TTU_SYNC | (isHuge',
        wrong: 'return TTU_BATCH_FLUSH | (isHuge',
      },
    ],
    setUp: [{ op: 'swapon', kind: 'zram' }, ...largeFolio(0), takeEntry],
    first: { op: 'swap_out', p: 0, at: 4, n: 1 },
    second: [putEntryBack],
    broken: 'swap.whole-folio',
    claim: {
      id: 'swap.whole-folio',
      claim: 'of a folio that goes to swap as one, all entries go or none',
      holds: (machine) => [0, 16].includes(presentPages(machine)),
    },
  },
  {
    name: 'B27 CVE-2024-26759: a slot is freed and taken again while its old content is mapped',
    setting: [
      {
        file: 'swap/swap_in_direct.ts',
        rule: "import type { Op } from '../op/prims.js';",
        wrong: "import { writePoint, type Op } from '../op/prims.js';",
      },
      {
        file: 'swap/swap_in_direct.ts',
        rule: '  memory.memcg[head] = device.memcg[slot];\n',
        wrong:
          '  const read = device.content.slice(slot, slot + pages);\n' +
          "  yield* writePoint('read', slot);\n" +
          '  if (pageTables.payload[entry] !== swapped || pageTables.flags[entry] !== oldFlags) {\n' +
          '    for (let i = 0; i < pages; i += 1) device.dropCache(slot + i);\n' +
          '    folioPut(kernel, head);\n' +
          '    return VM_FAULT_MAJOR;\n' +
          '  }\n' +
          '  memory.memcg[head] = device.memcg[slot];\n',
      },
      {
        file: 'swap/swap_in_direct.ts',
        rule: 'memory.content[head + i] = device.content[slot + i];',
        wrong: 'memory.content[head + i] = read[i];',
      },
    ],
    edits: [
      {
        file: 'swap/swap_in_direct.ts',
        rule: 'if (isChanged || !claimSlots(device, slot, pages)) {',
        wrong: 'if (isChanged) {',
      },
      {
        file: 'swap/swap_in_direct.ts',
        rule: '    for (let i = 0; i < pages; i += 1) device.dropCache(slot + i);\n    folioPut',
        wrong: '    folioPut',
      },
      { file: 'swap/swap_in_direct.ts', rule: '    device.dropCache(slot + i);\n', wrong: '' },
    ],
    setUp: [
      // One slot, so that it is taken again.
      { op: 'swapon', kind: 'zram', n: 2 },
      ...written(0, 1),
      { op: 'clone_vm', p: 0, c: 1 },
      { op: 'madvise', p: 0, at: 0, n: 1, advice: 'pageout' },
    ],
    first: { op: 'read', p: 0, at: 0, n: 1 },
    second: [
      { op: 'write', p: 1, at: 0, n: 1, v: 9 },
      { op: 'swap_out', p: 1, at: 0, n: 1 },
    ],
    afterwards: [{ op: 'read', p: 0, at: 0, n: 1 }],
    broken: 'content.shadow-memory',
  },
  {
    name: 'B31 the walk of a KSM page asks the merged processes only, not their children',
    edits: [
      {
        file: 'rmap/rmap_walk.ts',
        rule: 'for (let pass = 0; pass < 2; pass += 1) {',
        wrong: 'for (let pass = 0; pass < 1; pass += 1) {',
      },
    ],
    setUp: [
      ...written(0, 2),
      { op: 'madvise', p: 0, at: 0, n: 2, advice: 'mergeable' },
      { op: 'ksm', scans: 3 },
    ],
    first: { op: 'move_pages', p: 0, at: 0, n: 1, node: 1, all: 1 },
    second: forks([0, 1]),
    broken: 'reach.no-leftover',
    profile: TWO_NODES,
  },
  {
    name: 'B33 a walk does not look again whether UFFDIO_MOVE gave the page another anon_vma',
    setting: [
      {
        file: 'rmap/rmap_walk.ts',
        rule: '  if (anonVma === undefined) return;\n  const { intervals',
        wrong:
          '  if (anonVma === undefined) return;\n' +
          '  const now = folioAnonVma(kernel, head);\n' +
          '  if (now?.root !== anonVma.root) {\n' +
          "    fail('claim walk.right-lock: a walk holds the lock of another anon_vma');\n" +
          '  }\n' +
          '  const { intervals',
      },
    ],
    edits: [
      {
        file: 'rmap/folio_anon_vma.ts',
        rule: 'if ((yield* readMapping(kernel, head)) !== mapping) {\n        yield* upRead(rootLock);',
        wrong: 'if (mapping < 0) {\n        yield* upRead(rootLock);',
      },
      {
        file: 'rmap/folio_anon_vma.ts',
        rule: 'if ((yield* readMapping(kernel, head)) !== mapping) {\n      yield* upRead(anonVma',
        wrong: 'if (mapping < 0) {\n      yield* upRead(anonVma',
      },
    ],
    setUp: [
      { op: 'swapon', kind: 'zram' },
      ...written(0, 1),
      { op: 'mmap', p: 0, at: 64, n: 1, prot: 'rw', flags: 'private|anon' },
    ],
    first: { op: 'swap_out', p: 0, at: 0, n: 1 },
    second: [{ op: 'uffd_move', p: 0, at: 0, n: 1, to: 64 }],
    broken: 'walk.right-lock',
  },
  {
    name: 'B39 a huge PMD is frozen for a split though a device has pinned a page of it',
    // The pin came right after the split looked for other references.
    setting: [
      {
        file: 'thp/split.ts',
        rule: '  let failed = -EAGAIN;\n  if (hasOnlyCallersReference(kernel, head)) {',
        wrong: '  let failed = -EAGAIN;\n  if (folioMapcount(kernel, head) > 0) {',
      },
      {
        file: 'reclaim/shrink_folio.ts',
        rule: "  if (folioMaybeDmaPinned(kernel, head)) return 'kept';\n",
        wrong: '',
      },
      {
        file: 'reclaim/shrink_folio.ts',
        rule: 'if (memory.refcount[head] !== expected) return',
        wrong: 'if (memory.refcount[head] < expected) return',
      },
    ],
    edits: [
      {
        file: 'thp/split_pmd.ts',
        rule: 'freeze && !(isExclusive && folioTryShareAnonRmapPmd(kernel, head) !== 0)',
        wrong: 'freeze',
      },
      // Without the assertion that would notice first.
      {
        file: 'rmap/folio_rmap_add.ts',
        rule: 'function failExclusive(pfn: number): never {\n  fail(',
        wrong: 'function failExclusive(pfn: number): void {\n  void (',
      },
    ],
    setUp: [
      { op: 'swapon', kind: 'zram', n: 16 },
      ...hugeFolio(512),
      { op: 'pin', p: 0, at: 512, n: 1, id: 0 },
    ],
    first: { op: 'swap_out', p: 0, at: 512, n: 1 },
    second: forks([0, 1]),
    // The child is on the anon_vma's tree by then, and nothing is copied yet.
    secondWaitsAt: ({ object }) =>
      typeof object !== 'string' && object.name.startsWith('page_table_lock'),
    broken: 'exclusive.pinned-unshared',
  },
];
