import { describe, expect, it } from 'vitest';
import { UnmapFixture } from '../../../test/support/unmap_fixture.js';
import { NIL } from '../../base/units.js';
import { moveFolioState } from '../migrate/migrate_mapping.js';
import { PTE_SOFT_DIRTY } from '../pgtable/pte.js';
import { folioAlloc, folioOrder } from '../phys/folio.js';
import { PG_DEVICE_PRIVATE, PG_DIRTY, PG_HWPOISON, PG_MLOCKED } from '../phys/page_flags.js';
import { VM_WRITE } from '../vm/vm_flags.js';
import { RMP_LOCKED, RMP_USE_SHARED_ZEROPAGE } from './remove_migration_ptes.js';

// @covers remove_migration_ptes, rmp_flags, RMP_LOCKED, RMP_USE_SHARED_ZEROPAGE

function written(n = 1, v = 7): UnmapFixture {
  const f = new UnmapFixture();
  f.map(16, n);
  f.write(16, n, v);
  return f;
}

/** A new folio with the contents and the owner of the unmapped source. */
function copyOf(f: UnmapFixture, source: number): number {
  const target = folioAlloc(f.kernel, folioOrder(f.kernel, source), 0);
  if (target === NIL || moveFolioState(f.kernel, source, target) !== 0) throw new Error('no copy');
  f.kernel.lru.add(target);
  return target;
}

/** Moves the folio behind a page; returns the new one. */
function move(f: UnmapFixture, at: number, flags = 0): number {
  const source = f.folio(at);
  if (f.migrate(source) !== 0) throw new Error('still mapped');
  const target = copyOf(f, source);
  f.restore(source, target, flags);
  // What the caller had of the new folio.
  f.kernel.memory.refcount[target] -= 1;
  return target;
}

describe('a folio that was moved', () => {
  it('is mapped wherever the old one was, with the same rights', () => {
    const f = written();
    const source = f.folio(16);
    const target = move(f, 16);
    expect(target).not.toBe(source);
    expect([f.folio(16), f.text(16), f.read(16)]).toEqual([target, 'wdy e', [7]]);
    expect([f.rss(), f.kernel.memory.refcount[source], f.broken]).toEqual(['0 1 0 0', 0, []]);
  });

  it('is shared by all processes that shared the old one', () => {
    const f = written();
    f.fork(0, 1);
    f.fork(1, 2);
    const target = move(f, 16);
    for (const p of [0, 1, 2]) expect([f.folio(16, p), f.rss(p)]).toEqual([target, '0 1 0 0']);
    expect([f.text(16), f.text(16, 2), f.broken]).toEqual(['dy', 'd', []]);
  });

  it('is exclusive and read-only where the old one was', () => {
    const f = written();
    f.run({ op: 'mprotect', p: 0, at: 16, n: 1, prot: 'r' });
    move(f, 16);
    expect([f.text(16), f.broken]).toEqual(['dy e', []]);
  });

  it('is mapped in the same order page by page if it is large', () => {
    const f = new UnmapFixture();
    f.useFoliosOf16();
    f.map(0, 64);
    for (let at = 16; at < 32; at += 1) f.write(at, 1, at);
    f.fork(0, 1);
    f.run({ op: 'munmap', p: 0, at: 16, n: 4 });
    const target = move(f, 24);
    expect([f.pfn(20), f.pfn(31), f.pfn(16, 1)]).toEqual([target + 4, target + 15, target]);
    expect([f.read(21), f.read(16, 1, 1), f.broken]).toEqual([[21], [16], []]);
  });

  it('is mapped by one entry where the old one was', () => {
    const f = new UnmapFixture();
    f.useHugePages();
    f.map(512, 512);
    f.write(512, 512, 7);
    f.run({ op: 'mprotect', p: 0, at: 512, n: 512, prot: 'r' });
    const target = move(f, 512);
    expect([f.folio(700), f.text(512), f.page(512)]).toMatchObject([
      target,
      'dy e',
      { level: 'pmd' },
    ]);
    expect(f.broken).toEqual([]);
  });

  it.each([
    ['rw', 'wdy e'],
    ['r', 'dy e'],
  ] as const)('of hugetlb is as exclusive as the old one was (%s)', (prot, expected) => {
    const f = new UnmapFixture();
    const map = { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw' } as const;
    f.run(
      { op: 'config', key: 'hugetlb', value: 1 },
      { ...map, flags: 'private|anon|hugetlb' },
      { op: 'write', p: 0, at: 512, n: 1, v: 7 },
      { op: 'mprotect', p: 0, at: 512, n: 512, prot },
    );
    const head = f.folio(512);
    f.migrate(head);
    f.restore(head);
    expect([f.text(512), f.folio(700), f.broken]).toEqual([expected, head, []]);
  });

  it('of a file is mapped in all VMAs', () => {
    const f = new UnmapFixture();
    f.run(
      { op: 'file', id: 'f', n: 8, kind: 'memfd' },
      { op: 'mmap', p: 0, at: 16, n: 8, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
      { op: 'mmap', p: 0, at: 32, n: 8, prot: 'r', flags: 'shared', file: 'f', off: 0 },
    );
    f.write(16, 1, 7);
    f.read(32);
    const target = move(f, 16);
    expect([f.folio(16), f.folio(32), f.text(16), f.text(32)]).toEqual([
      target,
      target,
      'wdy',
      'y',
    ]);
    expect(f.broken).toEqual([]);
  });

  it('of KSM stays merged and not exclusive', () => {
    const f = written(2);
    f.run({ op: 'madvise', p: 0, at: 16, n: 2, advice: 'mergeable' }, { op: 'ksm', scans: 3 });
    const target = move(f, 16);
    expect([f.folio(17), f.texts(16, 2), f.broken]).toEqual([target, f.texts(16, 1), []]);
    expect(f.text(16)).not.toContain('e');
  });

  it('becomes private memory of a device if the new folio is such', () => {
    const f = written(2);
    f.run({ op: 'mprotect', p: 0, at: 17, n: 1, prot: 'r' });
    for (const [at, expected] of [
      [16, 'device w'],
      [17, 'device r'],
    ] as const) {
      const source = f.folio(at);
      f.migrate(source);
      const target = copyOf(f, source);
      f.kernel.memory.flags[target] |= PG_DEVICE_PRIVATE;
      f.restore(source, target);
      f.kernel.memory.refcount[target] -= 1;
      expect([f.text(at), f.payload(at)]).toEqual([expected, target]);
    }
    expect([f.rss(), f.broken]).toEqual(['0 2 0 0', []]);
  });
});

describe('bits of the entry', () => {
  it('accessed comes back only if it was there, dirty only with a dirty folio', () => {
    const f = written();
    const head = f.folio(16);
    f.run({ op: 'clear_refs', p: 0, what: 'all' });
    f.migrate(head);
    f.restore(head);
    expect(f.text(16)).toBe('wd e');
    f.migrate(head);
    f.kernel.memory.flags[head] &= ~PG_DIRTY;
    f.restore(head);
    expect(f.text(16)).toBe('w e');
  });

  it('soft-dirty and the protection of userfaultfd come back', () => {
    const f = new UnmapFixture({ softDirty: true });
    f.map(16, 2);
    f.write(16, 2, 7);
    f.run(
      { op: 'uffd_register', p: 0, at: 16, n: 2, mode: 'wp' },
      { op: 'uffd_wp', p: 0, at: 16, n: 1, on: 1 },
    );
    for (const at of [16, 17]) move(f, at);
    expect([f.texts(16, 2), f.broken]).toEqual(['16:dy e wp, 17:wdy e', []]);
    expect(f.entryFlags(16) & PTE_SOFT_DIRTY).toBe(PTE_SOFT_DIRTY);
  });

  it('write does not come back into a VMA that became read-only meanwhile', () => {
    const f = written();
    const head = f.folio(16);
    f.migrate(head);
    f.run({ op: 'mprotect', p: 0, at: 16, n: 1, prot: 'r' });
    expect(f.text(16)).toBe('migration re');
    f.restore(head);
    expect([f.text(16), f.broken]).toEqual(['dy e', []]);
    // Whatever the entry says.
    const other = written();
    const otherHead = other.folio(16);
    other.migrate(otherHead);
    other.setVmaFlags(16, (flags) => flags & ~VM_WRITE);
    other.restore(otherHead);
    expect([other.text(16), other.broken]).toEqual(['dy e', []]);
  });

  it('exclusiveness does not come back after a fork in between', () => {
    const f = written();
    const head = f.folio(16);
    f.migrate(head);
    f.fork(0, 1);
    expect([f.text(16), f.text(16, 1)]).toEqual(['migration r', 'migration r']);
    f.restore(head);
    expect([f.text(16), f.text(16, 1), f.broken]).toEqual(['dy', 'dy', []]);
  });

  it('an entry that was unmapped meanwhile is not put back', () => {
    const f = written(2);
    const head = f.folio(16);
    f.migrate(head);
    f.run({ op: 'munmap', p: 0, at: 16, n: 1 });
    f.restore(head);
    expect([f.rss(), f.broken]).toEqual(['0 1 0 0', []]);
    expect(f.kernel.memory.refcount[head]).toBe(0);
  });
});

describe('RMP_LOCKED', () => {
  it('leaves the lock to the caller', () => {
    const f = written();
    const { anonVma } = f.vma(16);
    if (anonVma === undefined) throw new Error('no anon_vma');
    const head = f.folio(16);
    f.migrate(head);
    anonVma.root.rwsem.writers = 1;
    f.restore(head, head, RMP_LOCKED);
    anonVma.root.rwsem.writers = 0;
    expect([f.text(16), anonVma.root.rwsem.readers]).toEqual(['wdy e', 0]);
  });
});

describe('RMP_USE_SHARED_ZEROPAGE', () => {
  /** A page that was written to and holds zeros. */
  function zeroFilled(): UnmapFixture {
    return written(1, 0);
  }

  function restored(f: UnmapFixture): string {
    const head = f.folio(16);
    f.migrate(head);
    f.restore(head, head, RMP_USE_SHARED_ZEROPAGE);
    return f.text(16);
  }

  it('puts the zero page in the place of a zero-filled page', () => {
    const f = zeroFilled();
    const head = f.folio(16);
    expect(restored(f)).toBe('y zero');
    expect([f.payload(16), f.rss()]).toEqual([f.kernel.memory.zeroPfn, '0 0 0 0']);
    expect([f.kernel.memory.refcount[head], f.read(16), f.broken]).toEqual([0, [0], []]);
    f.write(16, 1, 5);
    expect([f.read(16), f.rss()]).toEqual([[5], '0 1 0 0']);
  });

  it('keeps the protection of userfaultfd', () => {
    const f = zeroFilled();
    f.run(
      { op: 'uffd_register', p: 0, at: 16, n: 1, mode: 'wp' },
      { op: 'uffd_wp', p: 0, at: 16, n: 1, on: 1 },
    );
    expect(restored(f)).toBe('y wp zero');
  });

  it.each<[string, (f: UnmapFixture) => void]>([
    ['that is not zero', (f) => void f.write(16, 1, 7)],
    [
      'that is poisoned',
      (f) => {
        const head = f.folio(16);
        f.migrate(head);
        f.kernel.memory.flags[head] |= PG_HWPOISON;
        f.restore(head, head, RMP_USE_SHARED_ZEROPAGE);
        f.kernel.memory.flags[head] &= ~PG_HWPOISON;
      },
    ],
    [
      'that is mlocked',
      (f) => {
        const head = f.folio(16);
        f.migrate(head);
        f.kernel.memory.flags[head] |= PG_MLOCKED;
        f.restore(head, head, RMP_USE_SHARED_ZEROPAGE);
        f.kernel.memory.flags[head] &= ~PG_MLOCKED;
      },
    ],
    ['of a locked VMA', (f) => void f.run({ op: 'mlock', p: 0, at: 16, n: 1 })],
  ])('keeps a page %s', (what, prepare) => {
    const f = zeroFilled();
    const head = f.folio(16);
    prepare(f);
    if (!what.endsWith('poisoned') && !what.endsWith('mlocked')) restored(f);
    expect([f.text(16), f.folio(16), f.rss()]).toEqual(['wdy e', head, '0 1 0 0']);
  });

  it('keeps the pages of a large folio, and pages that were moved', () => {
    const large = new UnmapFixture();
    large.useFoliosOf16();
    large.map(0, 64);
    large.write(16, 16, 0);
    const head = large.folio(16);
    large.migrate(head);
    large.restore(head, head, RMP_USE_SHARED_ZEROPAGE);
    expect(large.texts(16, 16)).toBe('16:wdy e');
    const moved = zeroFilled();
    const target = move(moved, 16, RMP_USE_SHARED_ZEROPAGE);
    expect([moved.text(16), moved.folio(16)]).toEqual(['wdy e', target]);
  });

  it('is what a split of a huge page does with its unused pages', () => {
    const f = new UnmapFixture();
    f.useHugePages();
    f.map(512, 512);
    f.write(520, 1, 7);
    f.run({ op: 'munmap', p: 0, at: 512, n: 4 });
    f.run({ op: 'memory_failure', p: 0, at: 600, n: 1 });
    expect([f.text(520), f.text(521), f.text(600)]).toEqual(['wdy e', 'y zero', 'poison']);
    expect(f.rss()).toBe('0 1 0 0');
  });
});
