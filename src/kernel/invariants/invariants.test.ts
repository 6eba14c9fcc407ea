/**
 * Goal: every invariant rings. Method: a machine at rest breaks none; one cell is then corrupted by
 * hand, and the invariant named for it must be among those reported.
 */
import { describe, expect, test } from 'vitest';
import type { Kernel } from '../kernel.js';
import { Machine } from '../machine.js';
import type { Operation } from '../operation.js';
import { largeRow } from '../phys/folio.js';
import { PG_ANON_EXCLUSIVE, PG_FREE, PG_MLOCKED } from '../phys/page_flags.js';
import {
  KIND_MIGRATION_READ,
  KIND_MIGRATION_WRITE,
  PTE_SWP_EXCLUSIVE,
  PTE_WRITE,
} from '../pgtable/pte.js';
import { avcRemove } from '../rmap/anon_vma_chain.js';
import { TlbModel } from '../rmap/tlb_model.js';
import { VM_WRITE } from '../vm/vm_flags.js';
import { findViolations, INVARIANTS } from './index.js';

const WRITTEN: Operation[] = [
  { op: 'mmap', p: 0, at: 0, n: 8, prot: 'rw', flags: 'private|anon' },
  { op: 'write', p: 0, at: 0, n: 8, v: 7 },
];
const FORKED: Operation[] = [...WRITTEN, { op: 'fork', p: 0, c: 1 }];
const THP: Operation[] = [
  { op: 'config', key: 'thp', value: 'always' },
  { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw', flags: 'private|anon' },
  { op: 'write', p: 0, at: 512, n: 1, v: 7 },
];
const MTHP: Operation[] = [
  { op: 'config', key: 'mthp.64kB', value: 'always' },
  { op: 'mmap', p: 0, at: 0, n: 16, prot: 'rw', flags: 'private|anon' },
  { op: 'write', p: 0, at: 0, n: 16, v: 7 },
];
const FILE: Operation[] = [
  { op: 'file', id: 'f', n: 4, kind: 'memfd' },
  { op: 'mmap', p: 0, at: 0, n: 4, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
  { op: 'write', p: 0, at: 0, n: 4, v: 7 },
];
const SWAPPED: Operation[] = [
  { op: 'swapon', kind: 'zram' },
  ...WRITTEN,
  { op: 'madvise', p: 0, at: 0, n: 4, advice: 'pageout' },
];
const PINNED: Operation[] = [...WRITTEN, { op: 'pin', p: 0, at: 0, n: 1, id: 0 }];
const MERGED: Operation[] = [
  ...WRITTEN,
  { op: 'madvise', p: 0, at: 0, n: 8, advice: 'mergeable' },
  { op: 'ksm', scans: 3 },
];

interface Break {
  readonly setUp: readonly Operation[];
  /** Corrupts one cell. */
  readonly damage: (kernel: Kernel) => void;
}

/** Entry of page `vpn` of process 0. */
function pte(kernel: Kernel, vpn: number): number {
  return kernel.pageTables.findPte(mmOf(kernel).pgd, vpn);
}

function mmOf(kernel: Kernel): Kernel['mms'] extends Set<infer M> ? M : never {
  const [mm] = kernel.mms;
  if (mm === undefined) throw new Error('no mm');
  return mm;
}

function pfnOf(kernel: Kernel, vpn: number): number {
  const entry = pte(kernel, vpn);
  if (entry >= 0) return kernel.pageTables.payload[entry];
  return kernel.pageTables.payload[kernel.pageTables.findPmd(mmOf(kernel).pgd, vpn)];
}

function vmaOf(kernel: Kernel): ReturnType<typeof mmOf>['vmas'][number] {
  return mmOf(kernel).vmas[0];
}

function anonVmaOf(kernel: Kernel): NonNullable<ReturnType<typeof vmaOf>['anonVma']> {
  const { anonVma } = vmaOf(kernel);
  if (anonVma === undefined) throw new Error('no anon_vma');
  return anonVma;
}

const BREAKS: Readonly<Record<string, Break>> = {
  'vma.order': { setUp: WRITTEN, damage: (k) => void (vmaOf(k).end = vmaOf(k).start) },
  'mm.sizes': { setUp: WRITTEN, damage: (k) => void (mmOf(k).dataPages -= 1) },
  'vma.untouched-offset': {
    setUp: [{ op: 'mmap', p: 0, at: 0, n: 8, prot: 'rw', flags: 'private|anon' }],
    damage: (k) => void (vmaOf(k).pgoff += 1),
  },
  'vma.no-anon-without-anon-vma': {
    setUp: WRITTEN,
    damage: (k) => void (vmaOf(k).anonVma = undefined),
  },
  'vma.mlocked-is-unevictable': {
    setUp: WRITTEN,
    damage: (k) => void (k.memory.flags[pfnOf(k, 0)] |= PG_MLOCKED),
  },
  'vma.whole-huge-entries': { setUp: THP, damage: (k) => void (vmaOf(k).end -= 1) },
  'vma.deposited-tables': {
    setUp: THP,
    damage: (k) => k.pageTables.deposited.clear(),
  },
  'mm.write-protect-seq': { setUp: [], damage: (k) => void (mmOf(k).writeProtectSeq = 1) },
  'mm.tlb-batches': { setUp: [], damage: (k) => void (mmOf(k).tlbFlushed = 1) },
  'mm.locks-free': { setUp: [], damage: (k) => void (mmOf(k).mmapLock.readers = 1) },
  'tlb.no-stale-translation': {
    setUp: WRITTEN,
    damage(k) {
      k.tlb = new TlbModel();
      k.tlb.remember(mmOf(k), 0, pfnOf(k, 1), true);
    },
  },
  'ksm.read-only': {
    setUp: MERGED,
    damage: (k) => void (k.pageTables.flags[pte(k, 0)] |= PTE_WRITE),
  },
  'anon-vma.refcount': { setUp: FORKED, damage: (k) => void (anonVmaOf(k).refcount += 1) },
  'anon-vma.children': { setUp: FORKED, damage: (k) => void (anonVmaOf(k).childCount -= 1) },
  'anon-vma.active': { setUp: FORKED, damage: (k) => void (anonVmaOf(k).activeVmaCount += 1) },
  'anon-vma.edges': { setUp: WRITTEN, damage: (k) => void (vmaOf(k).pgoff += 1) },
  'anon-vma.chain': { setUp: WRITTEN, damage: (k) => void (vmaOf(k).anonVma = undefined) },
  'anon-vma.ancestry': {
    setUp: FORKED,
    damage(k) {
      const child = [...k.mms][1];
      child?.vmas[0].anonVmaChain.reverse();
    },
  },
  'anon-vma.merge-assumption': {
    setUp: FORKED,
    damage(k) {
      const child = [...k.mms][1];
      if (child !== undefined) child.vmas[0].anonVma = anonVmaOf(k);
    },
  },
  'anon-vma.lifetime': { setUp: FORKED, damage: (k) => void (anonVmaOf(k).refcount = 0) },
  'anon-vma.trees': {
    setUp: FORKED,
    damage: (k) => void (k.intervals.subtreeLast[anonVmaOf(k).tree.root] += 5),
  },
  'counts.page-mapcount': {
    setUp: WRITTEN,
    damage: (k) => void (k.memory.mapcount[pfnOf(k, 0)] -= 1),
  },
  'counts.no-stray-mapcount': {
    setUp: [...FILE, { op: 'munmap', p: 0, at: 0, n: 4 }],
    damage(k) {
      const mapping = k.mappings.find((other) => other !== undefined);
      k.memory.mapcount[mapping?.pages.get(0) ?? 0] = 1;
    },
  },
  'counts.entire-mapcount': {
    setUp: THP,
    damage: (k) => void (k.large.entireMapcount[largeRow(k, pfnOf(k, 512))] += 1),
  },
  'counts.large-mapcount': {
    setUp: MTHP,
    damage: (k) => void (k.large.largeMapcount[largeRow(k, pfnOf(k, 0))] += 1),
  },
  'counts.pages-mapped': {
    setUp: MTHP,
    damage: (k) => void (k.large.pagesMapped[largeRow(k, pfnOf(k, 0))] += 1),
  },
  'counts.references': {
    setUp: WRITTEN,
    damage: (k) => void (k.memory.refcount[pfnOf(k, 0)] += 1),
  },
  'counts.pins': {
    setUp: MTHP,
    damage: (k) => void (k.large.pincount[largeRow(k, pfnOf(k, 0))] += 1),
  },
  'counts.statistics': { setUp: WRITTEN, damage: (k) => void (k.stats.anonMapped += 1) },
  'counts.rss': { setUp: WRITTEN, damage: (k) => void (mmOf(k).rss[1] += 1) },
  'counts.swap-slots': { setUp: SWAPPED, damage: (k) => void (mmOf(k).rss[2] += 1) },
  'counts.ksm-zero-pages': { setUp: [], damage: (k) => void (mmOf(k).ksmZeroPages += 1) },
  'counts.deferred-split': {
    setUp: THP,
    damage: (k) => k.deferredSplit.remove(0, pfnOf(k, 512)),
  },
  'counts.free-pages': {
    setUp: WRITTEN,
    damage: (k) => void (k.memory.flags[pfnOf(k, 0)] |= PG_FREE),
  },
  'mm-ids.free-slots': {
    setUp: MTHP,
    damage: (k) => void (k.large.mmIdMapcount1[largeRow(k, pfnOf(k, 0))] = 3),
  },
  'mm-ids.slot-mapcount': {
    setUp: MTHP,
    damage: (k) => void (k.large.mmIdMapcount0[largeRow(k, pfnOf(k, 0))] += 1),
  },
  'mm-ids.no-false-exclusive': {
    setUp: [...MTHP, { op: 'fork', p: 0, c: 1 }],
    damage: (k) => void (k.large.shared[largeRow(k, pfnOf(k, 0))] = 0),
  },
  'mm-ids.unmapped': {
    setUp: [...MTHP, { op: 'vmsplice', p: 0, at: 0, n: 1, id: 0 }],
    damage(k) {
      const row = largeRow(k, pfnOf(k, 0));
      k.large.largeMapcount[row] = 0;
    },
  },
  'mm-ids.exclusive-slot': {
    setUp: MTHP,
    damage: (k) => void (k.large.mmIdMapcount0[largeRow(k, pfnOf(k, 0))] -= 1),
  },
  'mm-ids.living': {
    setUp: MTHP,
    damage: (k) => void (k.large.mmId0[largeRow(k, pfnOf(k, 0))] = 99),
  },
  'exclusive.anonymous': {
    setUp: FILE,
    damage: (k) => void (k.memory.flags[pfnOf(k, 0)] |= PG_ANON_EXCLUSIVE),
  },
  'exclusive.single-mapping': {
    setUp: FORKED,
    damage: (k) => void (k.memory.flags[pfnOf(k, 0)] |= PG_ANON_EXCLUSIVE),
  },
  'exclusive.writable': {
    setUp: FORKED,
    damage: (k) => void (k.pageTables.flags[pte(k, 0)] |= PTE_WRITE),
  },
  'exclusive.not-swapped': {
    setUp: WRITTEN,
    damage: (k) => void (k.pageTables.flags[pte(k, 0)] = KIND_MIGRATION_READ),
  },
  'exclusive.swap-entry': {
    setUp: [...SWAPPED, { op: 'fork', p: 0, c: 1 }],
    damage: (k) => void (k.pageTables.flags[pte(k, 0)] |= PTE_SWP_EXCLUSIVE),
  },
  'exclusive.migration-entry': {
    setUp: FORKED,
    damage: (k) => void (k.pageTables.flags[pte(k, 0)] = KIND_MIGRATION_WRITE),
  },
  'exclusive.pinned': {
    setUp: PINNED,
    damage: (k) => void (k.memory.flags[pfnOf(k, 0)] &= ~PG_ANON_EXCLUSIVE),
  },
  'exclusive.pinned-unshared': {
    setUp: [...PINNED, { op: 'fork', p: 0, c: 1 }],
    damage(k) {
      const child = [...k.mms][1];
      const entry = k.pageTables.findPte(child?.pgd ?? -1, 0);
      k.pageTables.payload[entry] = pfnOf(k, 0);
    },
  },
  'exclusive.permission': { setUp: WRITTEN, damage: (k) => void (vmaOf(k).flags &= ~VM_WRITE) },
  'reach.anonymous': { setUp: WRITTEN, damage: (k) => void (k.memory.index[pfnOf(k, 0)] += 1) },
  'reach.walk': {
    // Moved with pages and mapped anew: two VMAs of one mm, one anon_vma, the same offsets.
    setUp: [
      { op: 'mmap', p: 0, at: 0, n: 4, prot: 'rw', flags: 'private|anon' },
      { op: 'write', p: 0, at: 0, n: 4, v: 7 },
      { op: 'mremap', p: 0, at: 1, n: 1, new: 1, to: 100, flags: 'fixed' },
      { op: 'mmap', p: 0, at: 1, n: 1, prot: 'rw', flags: 'private|anon' },
      { op: 'write', p: 0, at: 1, n: 1, v: 8 },
    ],
    damage(k) {
      const moved = mmOf(k).vmas.find(({ start }) => start === 100);
      const [edge] = moved?.anonVmaChain ?? [];
      if (edge !== undefined) avcRemove(k, edge);
    },
  },
  'reach.migration': { setUp: SWAPPED, damage: (k) => void (vmaOf(k).anonVma = undefined) },
  'reach.no-leftover': {
    setUp: WRITTEN,
    damage: (k) => void (k.pageTables.flags[pte(k, 0)] = KIND_MIGRATION_READ),
  },
  'reach.ksm': {
    setUp: MERGED,
    damage(k) {
      for (const node of k.ksm.nodes) if (node !== undefined) node.items.length = 0;
    },
  },
  'reach.file': { setUp: FILE, damage: (k) => void (k.memory.index[pfnOf(k, 0)] += 1) },
};

function machineAfter(operations: readonly Operation[]): Machine {
  const machine = new Machine({ profile: { memoryPages: 4096 } });
  for (const operation of operations) machine.apply(operation);
  return machine;
}

describe('invariants', () => {
  test('each one has a way to break it', () => {
    expect(Object.keys(BREAKS).sort()).toEqual(INVARIANTS.map(({ id }) => id).sort());
  });

  for (const [id, { setUp, damage }] of Object.entries(BREAKS)) {
    test(`${id} holds at rest and rings when broken`, () => {
      const { kernel } = machineAfter(setUp);
      expect(findViolations(kernel)).toEqual([]);
      damage(kernel);
      expect(findViolations(kernel).map((violation) => violation.id)).toContain(id);
    });
  }

  test('vma.order rings too when a VMA of huge pages ends inside one', () => {
    const { kernel } = machineAfter([
      { op: 'config', key: 'hugetlb', value: 1 },
      { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw', flags: 'private|anon|hugetlb' },
    ]);
    expect(findViolations(kernel)).toEqual([]);
    vmaOf(kernel).end -= 1;
    expect(findViolations(kernel).map(({ id }) => id)).toContain('vma.order');
  });

  test.each([
    ['totalPages', 'total'],
    ['dataPages', 'data'],
    ['execPages', 'code'],
    ['stackPages', 'stack'],
    ['lockedPages', 'locked'],
  ] as const)('mm.sizes rings for %s', (size, name) => {
    const { kernel } = machineAfter(WRITTEN);
    mmOf(kernel)[size] += 1;
    expect(findViolations(kernel)).toEqual([
      { id: 'mm.sizes', problems: [expect.stringContaining(`pages ${name},`)] },
    ]);
  });

  test('memory that lost its anon_vma may keep the offsets that its pages had', () => {
    const move = { op: 'mremap', p: 0, at: 0, n: 8, new: 8, to: 100, flags: 'fixed' } as const;
    const keep = { ...move, at: 100, to: 200, flags: 'fixed|dontunmap' } as const;
    const wipe = { op: 'madvise', p: 0, at: 100, n: 8, advice: 'wipeonfork' } as const;
    for (const operations of [
      [...WRITTEN, move, keep],
      [...WRITTEN, move, wipe, { op: 'fork', p: 0, c: 1 } as const],
    ]) {
      const { kernel } = machineAfter(operations);
      const untouched = [...kernel.mms]
        .flatMap(({ vmas }) => vmas)
        .filter(({ anonVma, start, pgoff }) => anonVma === undefined && pgoff !== start);
      expect(untouched).toHaveLength(1);
      expect(findViolations(kernel)).toEqual([]);
    }
  });

  test('reach.ksm is silent about a page that came back from swap after its item was dropped', () => {
    const { kernel } = machineAfter([
      { op: 'mmap', p: 0, at: 26, n: 8, prot: 'rw', flags: 'private|anon' },
      { op: 'madvise', p: 0, at: 26, n: 8, advice: 'mergeable' },
      { op: 'swapon', kind: 'file' },
      { op: 'write', p: 0, at: 26, n: 8, v: 0 },
      { op: 'ksm', scans: 2 },
      { op: 'swap_out', p: 0, at: 33, n: 1 },
      { op: 'fork', p: 0, c: 3 },
      { op: 'ksm', scans: 1 },
      { op: 'read', p: 3, at: 26, n: 1 },
    ]);
    expect(kernel.ksm.nodes.some((node) => node?.wasShared === true)).toBe(true);
    expect(findViolations(kernel)).toEqual([]);
  });
});
