import { describe, expect, it } from 'vitest';
import { UnmapFixture } from '../../../test/support/unmap_fixture.js';
import { PTE_SOFT_DIRTY, PTE_UNUSED } from '../pgtable/pte.js';
import { PG_ANON_EXCLUSIVE, PG_DIRTY, PG_HWPOISON, PG_SWAPBACKED } from '../phys/page_flags.js';
import type { Profile } from '../profile.js';
import { swapEntryCount } from '../swap/swap_cache.js';
import { VM_DROPPABLE } from '../vm/vm_flags.js';
import { TTU_HWPOISON, TTU_IGNORE_MLOCK, TTU_RMAP_LOCKED } from './ttu_flags.js';

// @covers try_to_unmap, TTU_HWPOISON

/** Page 16 of process 0, written. */
function written(n = 1, profile: Partial<Profile> = {}): UnmapFixture {
  const f = new UnmapFixture(profile);
  f.swapOn();
  f.map(16, n);
  f.write(16, n, 7);
  return f;
}

/** A lazyfree folio of 16 pages at page 16, clean and not accessed. */
function lazyLarge(): UnmapFixture {
  const f = new UnmapFixture();
  f.useFoliosOf16();
  f.map(0, 64);
  f.write(16, 16, 7);
  f.run({ op: 'madvise', p: 0, at: 16, n: 16, advice: 'free' });
  return f;
}

function lazy(): UnmapFixture {
  const f = written();
  f.run({ op: 'madvise', p: 0, at: 16, n: 1, advice: 'free' });
  return f;
}

function fileMapped(kind: 'tmp' | 'memfd', sharing: 'shared' | 'private' = 'shared'): UnmapFixture {
  const f = new UnmapFixture();
  f.swapOn();
  f.run(
    { op: 'file', id: 'f', n: 32, kind },
    { op: 'filewrite', file: 'f', at: 0, n: 32, v: 5 },
    { op: 'mmap', p: 0, at: 16, n: 8, prot: 'rw', flags: sharing, file: 'f', off: 0 },
  );
  return f;
}

/** A folio of 16 pages of a file at page 16, all of them written. */
function largeFile(): UnmapFixture {
  const f = new UnmapFixture();
  f.run(
    { op: 'config', key: 'shmem_mthp.64kB', value: 'always' },
    { op: 'file', id: 'f', n: 32, kind: 'memfd' },
    { op: 'mmap', p: 0, at: 16, n: 16, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
  );
  f.write(16, 16, 7);
  return f;
}

describe('anonymous pages go to swap', () => {
  it('with one more use of the slot, and in the counters', () => {
    const f = written();
    const head = f.folio(16);
    const slot = f.takeSlots(head);
    expect([swapEntryCount(f.kernel, slot), f.rss()]).toEqual([0, '0 1 0 0']);
    expect(f.unmap(head)).toBe(0);
    expect([f.text(16), f.payload(16)]).toEqual(['swap e', slot]);
    expect([swapEntryCount(f.kernel, slot), f.rss()]).toEqual([1, '0 0 1 0']);
    expect(f.kernel.memory.flags[head] & (PG_ANON_EXCLUSIVE | PG_DIRTY)).toBe(PG_DIRTY);
    expect([f.read(16), f.text(16), f.broken]).toEqual([[7], 'wy e', []]);
  });

  it('not exclusive if the page was shared', () => {
    const f = written();
    f.fork(0, 1);
    const slot = f.takeSlots(f.folio(16));
    expect(f.unmap(f.folio(16))).toBe(0);
    expect([f.text(16), f.text(16, 1), swapEntryCount(f.kernel, slot)]).toEqual([
      'swap',
      'swap',
      2,
    ]);
    expect(f.broken).toEqual([]);
  });

  it('each page of a large folio to its own slot, with its own exclusive bit', () => {
    const f = new UnmapFixture();
    f.swapOn();
    f.useFoliosOf16();
    f.map(0, 64);
    f.write(16, 16, 7);
    const head = f.folio(16);
    f.run({ op: 'madvise', p: 0, at: 24, n: 8, advice: 'dontfork' });
    f.fork(0, 1);
    const slot = f.takeSlots(head);
    expect(f.unmap(head)).toBe(0);
    expect([f.texts(16, 16), f.texts(16, 8, 1)]).toEqual(['16:swap, 24:swap e', '16:swap']);
    expect([f.payload(16), f.payload(31), f.payload(23, 1)]).toEqual([slot, slot + 15, slot + 7]);
    expect([f.rss(), f.rss(1)]).toEqual(['0 0 16 0', '0 0 8 0']);
    expect(f.broken).toEqual([]);
  });

  it('keep the marks of soft-dirty and userfaultfd, and lose dirty, accessed and write', () => {
    const f = written(2, { softDirty: true });
    f.run(
      { op: 'uffd_register', p: 0, at: 16, n: 2, mode: 'wp' },
      { op: 'uffd_wp', p: 0, at: 16, n: 1, on: 1 },
    );
    expect([f.text(16), f.entryFlags(16) & PTE_SOFT_DIRTY]).toEqual(['dy e wp', PTE_SOFT_DIRTY]);
    for (const at of [16, 17]) {
      f.takeSlots(f.folio(at));
      expect(f.unmap(f.folio(at))).toBe(0);
      expect(f.entryFlags(at) & PTE_SOFT_DIRTY).toBe(PTE_SOFT_DIRTY);
    }
    expect(f.texts(16, 2)).toBe('16:swap e wp, 17:swap e');
  });

  it('stay as they were if the page may be pinned', () => {
    const f = written();
    f.run({ op: 'pin', p: 0, at: 16, n: 1, id: 1 });
    const head = f.folio(16);
    const slot = f.takeSlots(head);
    expect(f.unmap(head)).toBe(1);
    expect([f.text(16), swapEntryCount(f.kernel, slot), f.rss()]).toEqual(['wdy e', 0, '0 1 0 0']);
    f.run({ op: 'unpin', p: 0, id: 1 });
    expect([f.unmap(head), f.text(16), f.broken]).toEqual([0, 'swap e', []]);
  });

  it('stay as they were without a slot', () => {
    const f = written();
    expect(f.unmap(f.folio(16))).toBe(1);
    expect([f.text(16), f.rss(), f.broken]).toEqual(['wdy e', '0 1 0 0', []]);
  });
});

describe('lazyfree pages are dropped', () => {
  it('if nobody wrote to them or holds them', () => {
    const f = lazy();
    expect(f.unmap(f.folio(16))).toBe(0);
    expect([f.text(16), f.rss(), f.read(16), f.broken]).toEqual(['none', '0 0 0 0', [0], []]);
  });

  it('without a marker: an empty entry of anonymous memory is not protected', () => {
    const f = lazy();
    f.run(
      { op: 'uffd_register', p: 0, at: 16, n: 1, mode: 'wp' },
      { op: 'uffd_wp', p: 0, at: 16, n: 1, on: 1 },
    );
    expect(f.text(16)).toBe('- e wp');
    expect([f.unmap(f.folio(16)), f.text(16)]).toEqual([0, 'none']);
  });

  it('unless written to: then they are swap-backed again', () => {
    const f = lazy();
    f.write(16, 1, 9);
    const head = f.folio(16);
    expect(f.unmap(head)).toBe(1);
    const wanted = PG_SWAPBACKED | PG_DIRTY;
    expect([f.text(16), f.kernel.memory.flags[head] & wanted]).toEqual(['wdy e', wanted]);
    expect(f.broken).toEqual([]);
  });

  it('written to or not in droppable memory', () => {
    const f = lazy();
    f.write(16, 1, 9);
    f.vma(16).flags |= VM_DROPPABLE;
    expect([f.unmap(f.folio(16)), f.text(16), f.rss()]).toEqual([0, 'none', '0 0 0 0']);
  });

  it('unless somebody else holds them: then they stay lazyfree', () => {
    const f = lazy();
    f.run({ op: 'vmsplice', p: 0, at: 16, n: 1, id: 1 });
    const head = f.folio(16);
    expect(f.unmap(head)).toBe(1);
    expect([f.text(16), f.kernel.memory.flags[head] & (PG_SWAPBACKED | PG_DIRTY)]).toEqual([
      'w e',
      0,
    ]);
    f.run({ op: 'vmdrain', p: 0, n: 1, id: 1 });
    expect([f.unmap(head), f.text(16)]).toEqual([0, 'none']);
  });

  it('from the processes that come before the one that wrote', () => {
    const f = lazy();
    f.fork(0, 1);
    f.run({ op: 'mem_write', p: 1, at: 16, n: 1, v: 9 });
    f.write(16, 1, 7, 0);
    const alone = f.folio(16);
    expect(f.unmap(alone)).toBe(1);
    expect([f.text(16), f.broken]).toEqual(['wdy e', []]);
  });

  it('all pages of a folio in one step', () => {
    const f = lazyLarge();
    expect(f.unmap(f.folio(16))).toBe(0);
    expect([f.texts(16, 16), f.rss(), f.broken]).toEqual(['16:none', '0 0 0 0', []]);
  });

  it('or none of a folio: all get the dirty and accessed bits that one had', () => {
    const f = lazyLarge();
    expect(f.texts(16, 16)).toBe('16:w e');
    f.write(20, 1, 9);
    expect(f.unmap(f.folio(16))).toBe(16);
    expect([f.texts(16, 16), f.rss(), f.broken]).toEqual(['16:wdy e', '0 16 0 0', []]);
  });

  it('by parts that differ in write permission', () => {
    const f = lazyLarge();
    f.fork(0, 1);
    f.run({ op: 'exit', p: 1 });
    for (let at = 20; at < 24; at += 1) f.write(at, 1, 8);
    f.run({ op: 'madvise', p: 0, at: 16, n: 16, advice: 'free' });
    f.write(20, 1, 9);
    expect([f.folio(20), f.texts(16, 16)]).toEqual([f.folio(16), '16:-, 20:wdy e, 21:w e, 24:-']);
    const head = f.folio(16);
    expect(f.unmap(head)).toBe(12);
    // The first part is dropped, the second put back as a whole, the third not reached.
    expect([f.texts(16, 16), f.rss()]).toEqual(['16:none, 20:wdy e, 24:-', '0 12 0 0']);
    expect(f.broken).toEqual([]);
  });
});

describe('pages that are neither swap-backed nor lazyfree', () => {
  it('stay as they were', () => {
    const f = lazy();
    const head = f.folio(16);
    f.takeSlots(head);
    expect([f.unmap(head), f.text(16), f.rss()]).toEqual([1, 'w e', '0 1 0 0']);
    expect(f.kernel.memory.flags[head] & PG_SWAPBACKED).toBe(0);
  });
});

describe('pages of files', () => {
  it('leave nothing, but their dirtiness goes to the folio', () => {
    const f = fileMapped('tmp');
    f.run({ op: 'madvise', p: 0, at: 16, n: 8, advice: 'random' });
    f.write(16, 1, 7);
    const head = f.folio(16);
    f.kernel.memory.flags[head] &= ~PG_DIRTY;
    expect(f.rss()).toBe('1 0 0 0');
    expect(f.unmap(head)).toBe(0);
    expect([f.text(16), f.rss()]).toEqual(['none', '0 0 0 0']);
    expect(f.kernel.memory.flags[head] & PG_DIRTY).toBe(PG_DIRTY);
    expect([f.read(16), f.broken]).toEqual([[7], []]);
  });

  it('of a large folio go in one step', () => {
    const f = largeFile();
    expect(f.rss()).toBe('0 0 0 16');
    expect(f.unmap(f.folio(16))).toBe(0);
    expect([f.texts(16, 16), f.rss(), f.broken]).toEqual(['16:none', '0 0 0 0', []]);
  });

  it('of a large folio are looked at one by one where userfaultfd protects some', () => {
    const f = largeFile();
    f.run(
      { op: 'uffd_register', p: 0, at: 16, n: 16, mode: 'wp' },
      { op: 'uffd_wp', p: 0, at: 20, n: 2, on: 1 },
    );
    expect(f.unmap(f.folio(16))).toBe(0);
    expect([f.texts(16, 16), f.rss()]).toEqual(['16:none, 20:marker, 22:none', '0 0 0 0']);
  });

  it('leave a marker where userfaultfd protects them', () => {
    const f = fileMapped('memfd');
    f.write(16, 2, 7);
    f.run(
      { op: 'uffd_register', p: 0, at: 16, n: 8, mode: 'wp' },
      { op: 'uffd_wp', p: 0, at: 16, n: 1, on: 1 },
    );
    expect([f.unmap(f.folio(16)), f.unmap(f.folio(17))]).toEqual([0, 0]);
    expect([f.texts(16, 2), f.payload(16), f.rss()]).toEqual(['16:marker, 17:none', 1, '0 0 0 0']);
    expect(f.write(16, 1, 9).vals).toEqual([['UFFD', 1]]);
    expect([f.read(16), f.text(16)]).toEqual([[7], 'dy wp']);
  });

  it('so do private copies that are dropped', () => {
    const f = fileMapped('memfd', 'private');
    f.write(16, 1, 7);
    f.run(
      { op: 'uffd_register', p: 0, at: 16, n: 8, mode: 'wp' },
      { op: 'uffd_wp', p: 0, at: 16, n: 1, on: 1 },
    );
    // Droppable copies cannot be had otherwise: madvise(free) refuses files.
    const head = f.folio(16);
    f.kernel.lru.change(head, 0, PG_SWAPBACKED | PG_DIRTY);
    f.kernel.pageTables.flags[f.entry(16)] &= ~4;
    expect([f.unmap(head), f.text(16), f.rss()]).toEqual([0, 'marker', '0 0 0 0']);
  });

  it('private copies go to swap with their protection instead', () => {
    const f = fileMapped('memfd', 'private');
    f.write(16, 1, 7);
    f.run(
      { op: 'uffd_register', p: 0, at: 16, n: 8, mode: 'wp' },
      { op: 'uffd_wp', p: 0, at: 16, n: 1, on: 1 },
    );
    f.takeSlots(f.folio(16));
    expect([f.unmap(f.folio(16)), f.text(16)]).toEqual([0, 'swap e wp']);
  });
});

describe('poisoned pages', () => {
  it('leave an entry that says so with TTU_HWPOISON, and leave the counters', () => {
    const f = written();
    f.fork(0, 1);
    const head = f.folio(16);
    f.kernel.memory.flags[head] |= PG_HWPOISON;
    expect(f.unmap(head, TTU_HWPOISON | TTU_IGNORE_MLOCK)).toBe(0);
    expect([f.text(16), f.payload(16), f.text(16, 1)]).toEqual(['poison', head, 'poison']);
    expect([f.rss(), f.rss(1), f.read(16)]).toEqual(['0 0 0 0', '0 0 0 0', ['BUS']]);
  });

  it.each(['tmp', 'memfd'] as const)('of a %s file too', (kind) => {
    const f = fileMapped(kind);
    f.run({ op: 'madvise', p: 0, at: 16, n: 8, advice: 'random' });
    f.write(16, 1, 7);
    const head = f.folio(16);
    f.kernel.memory.flags[head] |= PG_HWPOISON;
    expect(f.unmap(head, TTU_HWPOISON)).toBe(0);
    expect([f.text(16), f.rss()]).toEqual(['poison', '0 0 0 0']);
  });

  it('of a protected file say what page it was, instead of the protection', () => {
    const f = fileMapped('memfd');
    f.write(16, 1, 7);
    f.run(
      { op: 'uffd_register', p: 0, at: 16, n: 8, mode: 'wp' },
      { op: 'uffd_wp', p: 0, at: 16, n: 1, on: 1 },
    );
    const head = f.folio(16);
    f.kernel.memory.flags[head] |= PG_HWPOISON;
    expect([f.unmap(head, TTU_HWPOISON), f.text(16), f.payload(16)]).toEqual([0, 'poison', head]);
  });

  it('are unmapped like others without the flag', () => {
    const f = fileMapped('memfd');
    f.write(16, 1, 7);
    const head = f.folio(16);
    f.kernel.memory.flags[head] |= PG_HWPOISON;
    expect([f.unmap(head), f.text(16)]).toEqual([0, 'none']);
  });

  it('one of a large folio leaves its entry, the others go the usual way', () => {
    const f = new UnmapFixture();
    f.swapOn();
    f.useFoliosOf16();
    f.map(0, 64);
    f.write(16, 16, 7);
    const head = f.folio(16);
    f.takeSlots(head);
    f.kernel.memory.flags[head + 3] |= PG_HWPOISON;
    expect(f.unmap(head, TTU_HWPOISON)).toBe(0);
    expect(f.texts(16, 16)).toBe('16:swap e, 19:poison, 20:swap e');
    expect(f.rss()).toBe('0 0 15 0');
  });

  it('one of a large file folio is not taken along with its neighbours', () => {
    const f = largeFile();
    const head = f.folio(16);
    f.kernel.memory.flags[head] |= PG_HWPOISON;
    expect(f.unmap(head, TTU_HWPOISON)).toBe(0);
    expect([f.texts(16, 16), f.rss()]).toEqual(['16:poison, 17:none', '0 0 0 0']);
  });

  it('of hugetlb leave an entry, and the usage of the process', () => {
    const f = new UnmapFixture();
    f.run(
      { op: 'config', key: 'hugetlb', value: 1 },
      { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw', flags: 'private|anon|hugetlb' },
    );
    f.write(512, 1, 7);
    const head = f.folio(512);
    f.kernel.memory.flags[head] |= PG_HWPOISON;
    expect(f.mm().hugetlbPages).toBe(512);
    expect(f.unmap(head, TTU_HWPOISON | TTU_IGNORE_MLOCK)).toBe(0);
    expect([f.text(512), f.mm().hugetlbPages, f.read(700)]).toEqual(['poison', 0, ['BUS']]);
  });

  it('of a hugetlb file need the lock of the file', () => {
    const f = new UnmapFixture();
    f.run(
      { op: 'config', key: 'hugetlb', value: 1 },
      { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw', flags: 'shared|anon|hugetlb' },
    );
    f.write(512, 1, 7);
    const head = f.folio(512);
    f.kernel.memory.flags[head] |= PG_HWPOISON;
    expect(() => f.unmap(head, TTU_HWPOISON)).toThrow(/without its i_mmap lock/);
  });

  it('of a hugetlb file are unmapped under it', () => {
    const f = new UnmapFixture();
    f.run(
      { op: 'config', key: 'hugetlb', value: 1 },
      { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw', flags: 'shared|anon|hugetlb' },
    );
    f.write(512, 1, 7);
    f.fork(0, 1);
    f.read(512, 1, 1);
    const head = f.folio(512);
    f.kernel.memory.flags[head] |= PG_HWPOISON;
    expect(f.unmap(head, TTU_HWPOISON | TTU_RMAP_LOCKED)).toBe(0);
    expect([f.text(512), f.text(512, 1), f.mm(1).hugetlbPages]).toEqual(['poison', 'poison', 0]);
  });
});

describe('pages whose contents a guest gave up', () => {
  it('are dropped without a slot', () => {
    const f = written();
    f.kernel.pageTables.flags[f.entry(16)] |= PTE_UNUSED;
    expect([f.unmap(f.folio(16)), f.text(16), f.rss()]).toEqual([0, 'none', '0 0 0 0']);
  });

  it('are kept where a userfaultfd handler would have to be asked', () => {
    const f = written();
    f.run({ op: 'uffd_register', p: 0, at: 16, n: 1, mode: 'missing' });
    f.kernel.pageTables.flags[f.entry(16)] |= PTE_UNUSED;
    expect([f.unmap(f.folio(16)), f.rss()]).toEqual([1, '0 1 0 0']);
  });
});
