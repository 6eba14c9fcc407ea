import { describe, expect, it } from 'vitest';
import { UnmapFixture } from '../../../test/support/unmap_fixture.js';
import {
  KIND_DEVICE_EXCLUSIVE,
  KIND_DEVICE_READ,
  KIND_DEVICE_WRITE,
  PTE_DIRTY,
  PTE_SOFT_DIRTY,
  PTE_UNUSED,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import { PG_ANON_EXCLUSIVE, PG_DEVICE_PRIVATE, PG_DIRTY, PG_HWPOISON } from '../phys/page_flags.js';
import { TlbBatch } from './tlb_batch.js';
import { TlbModel } from './tlb_model.js';
import {
  TTU_BATCH_FLUSH,
  TTU_HWPOISON,
  TTU_IGNORE_MLOCK,
  TTU_RMAP_LOCKED,
  TTU_SPLIT_HUGE_PMD,
  TTU_SYNC,
} from './ttu_flags.js';

// @covers try_to_migrate, TTU_RMAP_LOCKED, TTU_SPLIT_HUGE_PMD, TTU_SYNC, TTU_BATCH_FLUSH

function written(n = 1): UnmapFixture {
  const f = new UnmapFixture();
  f.map(16, n);
  f.write(16, n, 7);
  return f;
}

function huge(): UnmapFixture {
  const f = new UnmapFixture();
  f.useHugePages();
  f.map(512, 512);
  f.write(512, 512, 7);
  return f;
}

describe('small pages', () => {
  it('get an entry that says writable', () => {
    const f = written();
    const head = f.folio(16);
    expect(f.migrate(head)).toBe(0);
    expect([f.text(16), f.payload(16), f.rss()]).toEqual(['migration w', head, '0 1 0 0']);
    const { flags, refcount } = f.kernel.memory;
    expect([flags[head] & (PG_ANON_EXCLUSIVE | PG_DIRTY), refcount[head]]).toEqual([PG_DIRTY, 1]);
  });

  it('get an entry that says exclusive if they are read-only and exclusive', () => {
    const f = written();
    f.run({ op: 'mprotect', p: 0, at: 16, n: 1, prot: 'r' });
    expect([f.migrate(f.folio(16)), f.text(16)]).toEqual([0, 'migration re']);
  });

  it('get a plain entry in every process if they are shared', () => {
    const f = written();
    f.fork(0, 1);
    expect(f.migrate(f.folio(16))).toBe(0);
    expect([f.text(16), f.text(16, 1)]).toEqual(['migration r', 'migration r']);
    expect([f.rss(), f.rss(1)]).toEqual(['0 1 0 0', '0 1 0 0']);
  });

  it('carry accessed, dirty, soft-dirty and userfaultfd bits', () => {
    const f = new UnmapFixture({ softDirty: true });
    f.map(16, 1);
    f.write(16, 1, 7);
    f.run(
      { op: 'uffd_register', p: 0, at: 16, n: 1, mode: 'wp' },
      { op: 'uffd_wp', p: 0, at: 16, n: 1, on: 1 },
    );
    f.migrate(f.folio(16));
    const kept = PTE_YOUNG | PTE_DIRTY | PTE_SOFT_DIRTY;
    expect([f.text(16), f.entryFlags(16) & kept]).toEqual(['migration re wp', kept]);
  });

  it('of locked VMAs are taken like others', () => {
    const f = written();
    f.run({ op: 'mlock', p: 0, at: 16, n: 1 });
    expect([f.migrate(f.folio(16)), f.text(16)]).toEqual([0, 'migration w']);
  });

  it('of files are never exclusive', () => {
    const f = new UnmapFixture();
    f.run(
      { op: 'file', id: 'f', n: 8, kind: 'memfd' },
      { op: 'mmap', p: 0, at: 16, n: 8, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
      { op: 'mmap', p: 0, at: 32, n: 8, prot: 'r', flags: 'shared', file: 'f', off: 0 },
    );
    f.write(16, 1, 7);
    f.read(32);
    expect(f.migrate(f.folio(16))).toBe(0);
    expect([f.text(16), f.text(32), f.rss()]).toEqual(['migration w', 'migration r', '0 0 0 2']);
  });

  it('that may be pinned stay as they were; the walk stops there', () => {
    const f = written();
    f.run({ op: 'pin', p: 0, at: 16, n: 1, id: 1 });
    expect([f.migrate(f.folio(16)), f.text(16), f.rss()]).toEqual([1, 'wdy e', '0 1 0 0']);
  });

  it('of a large folio that may be pinned stay, and those before are put back', () => {
    const f = new UnmapFixture();
    f.useFoliosOf16();
    f.map(0, 64);
    f.write(16, 16, 7);
    const head = f.folio(16);
    f.run({ op: 'madvise', p: 0, at: 24, n: 8, advice: 'dontfork' });
    f.fork(0, 1);
    f.run({ op: 'exit', p: 1 }, { op: 'pin', p: 0, at: 31, n: 1, id: 1 });
    expect(f.migrate(head)).toBe(8);
    expect(f.texts(16, 16)).toBe('16:migration r, 24:wdy e');
    f.restore(head);
    expect([f.texts(16, 16), f.broken]).toEqual(['16:dy, 24:wdy e', []]);
  });

  it('that are poisoned leave an entry that says so, whatever the flags', () => {
    const f = written();
    const head = f.folio(16);
    f.kernel.memory.flags[head] |= PG_HWPOISON;
    expect([f.migrate(head), f.text(16), f.rss()]).toEqual([0, 'poison', '0 0 0 0']);
  });

  it('that a guest gave up are dropped', () => {
    const f = written();
    f.kernel.pageTables.flags[f.entry(16)] |= PTE_UNUSED;
    expect([f.migrate(f.folio(16)), f.text(16), f.rss()]).toEqual([0, 'none', '0 0 0 0']);
  });

  it('of KSM leave every place where they are merged', () => {
    const f = written(2);
    f.run({ op: 'madvise', p: 0, at: 16, n: 2, advice: 'mergeable' }, { op: 'ksm', scans: 3 });
    f.fork(0, 1);
    expect(f.migrate(f.folio(16))).toBe(0);
    expect([f.texts(16, 2), f.texts(16, 2, 1)]).toEqual(['16:migration r', '16:migration r']);
  });
});

describe('entries of devices', () => {
  it('that were exclusive to a device become readable and stay exclusive', () => {
    const f = written();
    const head = f.folio(16);
    f.kernel.pageTables.flags[f.entry(16)] = KIND_DEVICE_EXCLUSIVE;
    expect([f.migrate(head), f.text(16)]).toEqual([0, 'migration re']);
    f.restore(head);
    expect([f.text(16), f.broken]).toEqual(['- e', []]);
  });

  it.each([
    ['writable', KIND_DEVICE_WRITE, 'migration w', 'device w'],
    ['readable', KIND_DEVICE_READ, 'migration re', 'device r'],
  ])('of private memory that are %s stay so', (_what, kind, moving, back) => {
    const f = written();
    const head = f.folio(16);
    f.kernel.memory.flags[head] |= PG_DEVICE_PRIVATE;
    f.kernel.pageTables.flags[f.entry(16)] = kind;
    expect([f.migrate(head), f.text(16)]).toEqual([0, moving]);
    f.restore(head);
    expect([f.text(16), f.rss(), f.broken]).toEqual([back, '0 1 0 0', []]);
  });

  it('of private memory are shared even where a device has a reference', () => {
    const f = written();
    const head = f.folio(16);
    f.kernel.memory.flags[head] |= PG_DEVICE_PRIVATE;
    f.kernel.pageTables.flags[f.entry(16)] = KIND_DEVICE_WRITE;
    f.kernel.memory.refcount[head] += 1024;
    expect([f.migrate(head), f.text(16)]).toEqual([0, 'migration w']);
  });
});

describe('huge entries', () => {
  it('become one entry', () => {
    const f = huge();
    const head = f.folio(512);
    expect(f.migrate(head)).toBe(0);
    expect([f.text(512), f.payload(512), f.rss()]).toEqual(['migration w', head, '0 512 0 0']);
    f.restore(head);
    expect([f.text(512), f.read(700), f.broken]).toEqual(['wdy e', [7], []]);
  });

  it('are flushed for all of their pages', () => {
    const f = huge();
    const tlb = new TlbModel();
    f.kernel.tlb = tlb;
    for (const at of [512, 700, 1023]) tlb.remember(f.mm(), f.vpn(at), f.pfn(at), true);
    f.migrate(f.folio(512));
    expect([512, 700, 1023].map((at) => tlb.find(f.mm(), f.vpn(at)))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('say exclusive if read-only and exclusive, and nothing if shared', () => {
    const f = huge();
    f.run({ op: 'mprotect', p: 0, at: 512, n: 512, prot: 'r' });
    const head = f.folio(512);
    f.migrate(head);
    expect(f.text(512)).toBe('migration re');
    f.restore(head);
    f.fork(0, 1);
    expect([f.migrate(head), f.text(512), f.text(512, 1)]).toEqual([
      0,
      'migration r',
      'migration r',
    ]);
  });

  it('stay if the folio may be pinned', () => {
    const f = huge();
    f.run({ op: 'pin', p: 0, at: 515, n: 1, id: 1 });
    expect([f.migrate(f.folio(512)), f.text(512)]).toEqual([1, 'wdy e']);
  });

  it('are copied by fork as shared ones, with a page table in store each', () => {
    const f = huge();
    const head = f.folio(512);
    f.migrate(head);
    f.fork(0, 1);
    expect([f.text(512), f.text(512, 1)]).toEqual(['migration r', 'migration r']);
    expect([...f.kernel.pageTables.deposited.values()].flat().length).toBe(2);
    f.restore(head);
    expect([f.text(512), f.text(512, 1)]).toEqual(['dy', 'dy']);
    expect(f.broken).toEqual([]);
  });

  it('are split into frozen entries with TTU_SPLIT_HUGE_PMD', () => {
    const f = huge();
    const head = f.folio(512);
    const before = f.kernel.work.rmapMappingsFound;
    expect(f.migrate(head, TTU_SPLIT_HUGE_PMD | TTU_SYNC)).toBe(0);
    // The split itself makes them: the walk finds none of them present.
    expect(f.kernel.work.rmapMappingsFound - before).toBe(1);
    expect([f.texts(512, 512), f.payload(1023)]).toEqual(['512:migration w', head + 511]);
    expect(f.rss()).toBe('0 512 0 0');
    f.restore(head);
    expect([f.texts(512, 512), f.page(512)]).toMatchObject(['512:wdy e', { level: 'pte' }]);
    expect(f.broken).toEqual([]);
  });

  it('of a pinned folio are split into present ones, at which the walk stops', () => {
    const f = huge();
    f.run({ op: 'pin', p: 0, at: 515, n: 1, id: 1 });
    expect(f.migrate(f.folio(512), TTU_SPLIT_HUGE_PMD)).toBe(512);
    expect([f.texts(512, 512), f.page(512)]).toMatchObject(['512:wdy e', { level: 'pte' }]);
    f.restore(f.folio(512));
    expect(f.broken).toEqual([]);
  });

  it('of hugetlb become one entry', () => {
    const f = new UnmapFixture();
    f.run(
      { op: 'config', key: 'hugetlb', value: 1 },
      { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw', flags: 'private|anon|hugetlb' },
    );
    f.write(512, 1, 7);
    const head = f.folio(512);
    expect([f.migrate(head), f.text(512), f.mm().hugetlbPages]).toEqual([0, 'migration w', 512]);
    f.restore(head);
    expect([f.text(512), f.read(512), f.broken]).toEqual(['wdy e', [7], []]);
  });

  it('of hugetlb stay if pinned, and say so if poisoned', () => {
    const f = new UnmapFixture();
    f.run(
      { op: 'config', key: 'hugetlb', value: 1 },
      { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw', flags: 'private|anon|hugetlb' },
    );
    f.write(512, 1, 7);
    const head = f.folio(512);
    f.run({ op: 'pin', p: 0, at: 515, n: 1, id: 1 });
    expect([f.migrate(head), f.text(512)]).toEqual([1, 'wdy e']);
    f.run({ op: 'unpin', p: 0, id: 1 });
    f.kernel.memory.flags[head] |= PG_HWPOISON;
    expect([f.migrate(head), f.text(512), f.mm().hugetlbPages]).toEqual([0, 'poison', 0]);
  });
});

describe('flags', () => {
  it.each([
    ['TTU_IGNORE_MLOCK', TTU_IGNORE_MLOCK],
    ['TTU_HWPOISON', TTU_HWPOISON],
    ['1', 1],
    ['2 with legal ones', 2 | TTU_SYNC],
  ])('%s is illegal: nothing is done', (_name, flags) => {
    const f = written();
    expect([f.migrate(f.folio(16), flags), f.text(16)]).toEqual([1, 'wdy e']);
  });

  it('TTU_RMAP_LOCKED leaves the lock to the caller', () => {
    const f = written();
    const { anonVma } = f.vma(16);
    if (anonVma === undefined) throw new Error('no anon_vma');
    anonVma.root.rwsem.writers = 1;
    expect([f.migrate(f.folio(16), TTU_RMAP_LOCKED), f.text(16)]).toEqual([0, 'migration w']);
  });

  it('TTU_BATCH_FLUSH leaves the flush to the end of the batch', () => {
    const f = written(2);
    const tlb = new TlbModel();
    f.kernel.tlb = tlb;
    for (const at of [16, 17]) tlb.remember(f.mm(), f.vpn(at), f.pfn(at), true);
    const batch = new TlbBatch();
    f.migrate(f.folio(16), TTU_BATCH_FLUSH, batch);
    expect([tlb.find(f.mm(), f.vpn(16)) === undefined, batch.isRequired, batch.mayWrite]).toEqual([
      false,
      true,
      true,
    ]);
    f.migrate(f.folio(17));
    expect(tlb.find(f.mm(), f.vpn(17))).toBeUndefined();
  });
});

it('leaves the stack of an exec in progress alone, but not its KSM pages', () => {
  const f = written(2);
  f.vma(16).isTemporaryStack = true;
  expect([f.migrate(f.folio(16)), f.text(16)]).toEqual([1, 'wdy e']);
  const merged = written(2);
  merged.run({ op: 'madvise', p: 0, at: 16, n: 2, advice: 'mergeable' }, { op: 'ksm', scans: 3 });
  merged.vma(16).isTemporaryStack = true;
  expect([merged.migrate(merged.folio(16)), merged.texts(16, 2)]).toEqual([0, '16:migration r']);
});
