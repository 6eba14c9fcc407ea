import { describe, expect, it } from 'vitest';
import { UnmapFixture } from '../../../test/support/unmap_fixture.js';
import { EBUSY, EFAULT, EOPNOTSUPP } from '../errno.js';
import { runToEnd } from '../op/prims.js';
import { PTE_SOFT_DIRTY } from '../pgtable/pte.js';
import { folioMapcount } from '../phys/folio.js';
import { PG_ANON_EXCLUSIVE, PG_DEVICE_PRIVATE, PG_DIRTY, PG_LOCKED } from '../phys/page_flags.js';
import { makeDeviceExclusive } from './make_device_exclusive.js';
import { TlbModel } from './tlb_model.js';

// @covers make_device_exclusive, remove_device_exclusive_entry, restore_exclusive_pte

const OWNER = { name: 'a device' };

function written(n = 1): UnmapFixture {
  const f = new UnmapFixture();
  f.map(16, n);
  f.write(16, n, 7);
  return f;
}

function claim(f: UnmapFixture, at: number, p = 0): number {
  return runToEnd(makeDeviceExclusive(f.kernel, f.mm(p), f.vpn(at), OWNER));
}

/** The device has changed its own tables and lets go. */
function release(f: UnmapFixture, pfn: number): void {
  const head = f.kernel.memory.folioOf(pfn);
  f.kernel.memory.flags[head] &= ~PG_LOCKED;
  f.kernel.memory.refcount[head] -= 1;
}

/** A page that a device has for itself. */
function claimed(f: UnmapFixture, at = 16, p = 0): number {
  const pfn = claim(f, at, p);
  release(f, pfn);
  return pfn;
}

describe('a page for a device alone', () => {
  it('is replaced by an entry that still counts as a mapping', () => {
    const f = written();
    const before = f.pfn(16);
    const pfn = claim(f, 16);
    expect([pfn, f.text(16), f.payload(16)]).toEqual([before, 'device x', before]);
    const { flags, refcount } = f.kernel.memory;
    const kept = PG_LOCKED | PG_DIRTY | PG_ANON_EXCLUSIVE;
    expect([folioMapcount(f.kernel, pfn), refcount[pfn], flags[pfn] & kept]).toEqual([1, 2, kept]);
    release(f, pfn);
    expect([f.rss(), f.broken]).toEqual(['0 1 0 0', []]);
  });

  it('is faulted in or copied first, so that it is writable', () => {
    const f = new UnmapFixture();
    f.map(16, 2);
    claimed(f);
    expect([f.text(16), f.rss()]).toEqual(['device x', '0 1 0 0']);
    f.write(17, 1, 7);
    f.fork(0, 1);
    const shared = f.pfn(17);
    expect(claimed(f, 17)).not.toBe(shared);
    expect([f.pfn(17, 1), f.text(17), f.broken]).toEqual([shared, 'device x', []]);
  });

  it('is split off a huge page', () => {
    const f = new UnmapFixture();
    f.useHugePages();
    f.map(512, 512);
    f.write(512, 512, 7);
    claimed(f, 515);
    expect(f.texts(512, 512)).toBe('512:wdy e, 515:device x, 516:wdy e');
    expect(f.broken).toEqual([]);
  });

  it('keeps the soft-dirty mark, and no CPU keeps a translation', () => {
    const f = new UnmapFixture({ softDirty: true });
    f.map(16, 1);
    f.write(16, 1, 7);
    const tlb = new TlbModel();
    f.kernel.tlb = tlb;
    tlb.remember(f.mm(), f.vpn(16), f.pfn(16), true);
    claimed(f);
    expect(f.entryFlags(16) & PTE_SOFT_DIRTY).toBe(PTE_SOFT_DIRTY);
    expect(tlb.find(f.mm(), f.vpn(16))).toBeUndefined();
  });

  it('is announced to secondary users with the owner, so that the owner can ignore it', () => {
    const f = written();
    const heard: unknown[] = [];
    f.kernel.notifiers.add(f.mm(), {
      rangeStart: (_mm, start, end, event, owner) => heard.push([event, start, end, owner]),
    });
    claimed(f);
    f.read(16);
    expect(heard).toEqual([
      ['exclusive', f.vpn(16), f.vpn(17), OWNER],
      ['exclusive', f.vpn(16), f.vpn(17), undefined],
    ]);
  });

  it('cannot be a page of a file, of hugetlb, or nowhere', () => {
    const f = new UnmapFixture();
    f.mapShared(16, 1);
    f.write(16, 1, 7);
    f.run(
      { op: 'config', key: 'hugetlb', value: 1 },
      { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw', flags: 'private|anon|hugetlb' },
    );
    f.write(512, 1, 7);
    f.map(64, 1, 'r');
    expect([claim(f, 16), claim(f, 512), claim(f, 64), claim(f, 300)]).toEqual([
      -EOPNOTSUPP,
      -EOPNOTSUPP,
      -EFAULT,
      -EFAULT,
    ]);
    expect([f.text(16), f.text(512), f.broken]).toEqual(['wdy', 'wdy e', []]);
  });

  it('is not taken from somebody who holds the folio lock', () => {
    const f = written();
    f.kernel.memory.flags[f.folio(16)] |= PG_LOCKED;
    expect([claim(f, 16), f.text(16)]).toEqual([-EBUSY, 'wdy e']);
    f.kernel.memory.flags[f.folio(16)] &= ~PG_LOCKED;
    expect(f.broken).toEqual([]);
  });
});

describe('the CPU gets such a page back', () => {
  it('at an access, writable if it is exclusive still; counts do not change', () => {
    const f = written();
    const pfn = claimed(f);
    expect([f.read(16), f.text(16), f.pfn(16)]).toEqual([[7], 'wdy e', pfn]);
    expect([f.rss(), f.kernel.memory.refcount[pfn], f.broken]).toEqual(['0 1 0 0', 1, []]);
  });

  it('read-only where the VMA is, and protected where userfaultfd does it', () => {
    const f = written(2);
    f.run(
      { op: 'uffd_register', p: 0, at: 17, n: 1, mode: 'wp' },
      { op: 'uffd_wp', p: 0, at: 17, n: 1, on: 0 },
    );
    claimed(f, 16);
    claimed(f, 17);
    f.run({ op: 'mprotect', p: 0, at: 16, n: 1, prot: 'r' });
    f.run({ op: 'uffd_wp', p: 0, at: 17, n: 1, on: 1 });
    f.read(16, 2);
    expect(f.text(16)).toBe('y e');
    expect(f.read(17)).toEqual([7]);
  });

  it('read-only if it is not exclusive any more, so that a write copies it', () => {
    const f = written();
    const pfn = claimed(f);
    f.kernel.memory.flags[pfn] &= ~PG_ANON_EXCLUSIVE;
    f.run({ op: 'fault', p: 0, at: 16, write: 0 });
    expect([f.text(16), f.pfn(16), f.broken]).toEqual(['-', pfn, []]);
  });

  it('clean if the folio is clean', () => {
    const f = written();
    const pfn = claimed(f);
    f.kernel.memory.flags[pfn] &= ~PG_DIRTY;
    f.run({ op: 'fault', p: 0, at: 16, write: 0 });
    expect(f.text(16)).toBe('w e');
  });

  it('not while somebody holds the folio lock', () => {
    const f = written();
    const pfn = claim(f, 16);
    f.run({ op: 'fault', p: 0, at: 16, write: 0 });
    expect(f.text(16)).toBe('device x');
    release(f, pfn);
    f.run({ op: 'fault', p: 0, at: 16, write: 0 });
    expect(f.text(16)).toBe('wd e');
  });

  it('before fork copies the entry', () => {
    const f = written();
    const pfn = claimed(f);
    f.fork(0, 1);
    expect([f.pfn(16), f.pfn(16, 1), f.text(16), f.text(16, 1)]).toEqual([pfn, pfn, 'd', 'd']);
    expect([f.rss(1), f.broken]).toEqual(['0 1 0 0', []]);
  });
});

describe('such a page in the reverse map', () => {
  it('goes to swap as an exclusive page', () => {
    const f = written();
    f.swapOn();
    const pfn = claimed(f);
    f.takeSlots(pfn);
    expect([f.unmap(pfn), f.text(16), f.rss()]).toEqual([0, 'swap e', '0 0 1 0']);
    expect([f.read(16), f.broken]).toEqual([[7], []]);
  });

  it('is zapped with its mapping', () => {
    const f = written();
    const pfn = claimed(f);
    f.run({ op: 'munmap', p: 0, at: 16, n: 1 });
    expect([f.kernel.memory.refcount[pfn], f.rss(), f.broken]).toEqual([0, '0 0 0 0', []]);
  });
});

describe('private memory of a device', () => {
  /** The page behind 16 has moved into the memory of a device. */
  function inDevice(): { f: UnmapFixture; pfn: number } {
    const f = written();
    const pfn = f.folio(16);
    f.kernel.memory.flags[pfn] |= PG_DEVICE_PRIVATE;
    f.migrate(pfn);
    f.restore(pfn);
    return { f, pfn };
  }

  it('is shared by fork as readable entries with mappings and references', () => {
    const { f, pfn } = inDevice();
    expect(f.text(16)).toBe('device w');
    f.fork(0, 1);
    expect([f.text(16), f.text(16, 1), f.payload(16, 1)]).toEqual(['device r', 'device r', pfn]);
    expect([folioMapcount(f.kernel, pfn), f.kernel.memory.refcount[pfn]]).toEqual([2, 2]);
    expect([f.rss(1), f.broken]).toEqual(['0 1 0 0', []]);
  });

  it('loses the right to write with mprotect', () => {
    const { f } = inDevice();
    f.run({ op: 'mprotect', p: 0, at: 16, n: 1, prot: 'r' });
    expect(f.text(16)).toBe('device r');
  });

  it('is zapped with its mapping', () => {
    const { f, pfn } = inDevice();
    f.run({ op: 'munmap', p: 0, at: 16, n: 1 });
    expect([f.kernel.memory.refcount[pfn], f.rss()]).toEqual([0, '0 0 0 0']);
  });
});
