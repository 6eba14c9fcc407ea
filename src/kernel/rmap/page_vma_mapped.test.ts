import { describe, expect, it } from 'vitest';
import { RmapFixture } from '../../../test/support/rmap_fixture.js';
import { NIL } from '../../base/units.js';
import { runToEnd } from '../op/prims.js';
import {
  KIND_DEVICE_EXCLUSIVE,
  KIND_MIGRATION_READ,
  KIND_SWAP,
  PTE_LEAF,
  PTE_PRESENT,
} from '../pgtable/pte.js';
import {
  pageVmaMappedWalk,
  PageVmaMappedWalk,
  pageVmaMappedWalkDone,
  pageVmaMappedWalkRestart,
  PVMW_MIGRATION,
  PVMW_PGTABLE_CROSSED,
  PVMW_SYNC,
} from './page_vma_mapped.js';

// @covers page_vma_mapped_walk, page_vma_mapped_walk.pfn, page_vma_mapped_walk.nr_pages
// @covers page_vma_mapped_walk.pgoff, page_vma_mapped_walk.vma, page_vma_mapped_walk.address
// @covers page_vma_mapped_walk.pmd, page_vma_mapped_walk.pte, page_vma_mapped_walk.ptl
// @covers page_vma_mapped_walk.flags, page_vma_mapped_walk_done, page_vma_mapped_walk_restart
// @covers DEFINE_FOLIO_VMA_WALK, PVMW_SYNC, PVMW_MIGRATION, PVMW_PGTABLE_CROSSED

/** A folio of 16 pages at page 16. */
function large(): RmapFixture {
  const f = new RmapFixture();
  f.useFoliosOf16();
  f.map(0, 64);
  f.write(16, 16, 7);
  return f;
}

function huge(): RmapFixture {
  const f = new RmapFixture();
  f.useHugePages();
  f.map(512, 512);
  f.write(512, 1, 7);
  return f;
}

function begin(f: RmapFixture, head: number, at: number, flags = 0): PageVmaMappedWalk {
  const walk = new PageVmaMappedWalk();
  walk.beginFolio(f.kernel, head, f.vma(at), f.vpn(at), flags);
  return walk;
}

/** Pages of all found entries, `huge` after those of a PMD. */
function found(f: RmapFixture, walk: PageVmaMappedWalk): string {
  const pages: string[] = [];
  while (runToEnd(pageVmaMappedWalk(f.kernel, walk))) {
    pages.push(`${walk.vpn - f.machine.regionStart}${walk.pte === NIL ? ' huge' : ''}`);
  }
  return pages.join(' ');
}

/** Makes an entry of another kind of the one at a page. */
function turnInto(f: RmapFixture, at: number, flags: number): void {
  f.kernel.pageTables.flags[f.entry(at)] = flags;
}

describe('PTEs', () => {
  it('are found one by one, the lock held, and nothing is held at the end', () => {
    const f = large();
    const walk = begin(f, f.folio(16), 16);
    expect(runToEnd(pageVmaMappedWalk(f.kernel, walk))).toBe(true);
    expect([walk.pte, walk.vpn, walk.isLocked]).toEqual([f.entry(16), f.vpn(16), true]);
    expect(found(f, walk).split(' ')).toHaveLength(15);
    expect([walk.isLocked, walk.flags & PVMW_PGTABLE_CROSSED]).toEqual([false, 0]);
  });

  it.each([
    ['empty', 0],
    ['swap', KIND_SWAP],
    ['migration', KIND_MIGRATION_READ],
  ])('that are %s entries are passed over', (_kind, flags) => {
    const f = large();
    const head = f.folio(16);
    for (let at = 16; at < 32; at += 1) if (at !== 18 && at !== 30) turnInto(f, at, flags);
    expect(found(f, begin(f, head, 16))).toBe('18 30');
  });

  it('of other folios are passed over', () => {
    const f = large();
    const head = f.folio(16);
    f.fork(0, 1);
    f.write(20, 1, 9, 0);
    expect(found(f, begin(f, head, 16)).split(' ')).not.toContain('20');
    const walk = new PageVmaMappedWalk();
    walk.begin(head + 3, 2, f.kernel.memory.index[head] + 3, f.vma(16), f.vpn(19), 0);
    expect(found(f, walk)).toBe('19');
  });

  it('behind the wanted pages are passed over, wherever those are mapped', () => {
    const f = large();
    const head = f.folio(16);
    const walk = new PageVmaMappedWalk();
    walk.begin(head + 3, 2, f.kernel.memory.index[head] + 4, f.vma(16), f.vpn(20), 0);
    expect(found(f, walk)).toBe('20');
  });

  it.each([
    ['swap', KIND_SWAP, 0, ''],
    ['migration', KIND_MIGRATION_READ, 0, ''],
    ['device-exclusive', KIND_DEVICE_EXCLUSIVE, 0, '3'],
    ['swap', KIND_SWAP, PVMW_MIGRATION, ''],
    ['migration', KIND_MIGRATION_READ, PVMW_MIGRATION, '3'],
    ['present', PTE_PRESENT, PVMW_MIGRATION, ''],
  ])('of a single page: %s entries (%i, walk %i)', (_kind, kind, flags, pages) => {
    const f = new RmapFixture();
    f.map(0, 8);
    f.write(0, 8, 7);
    const pfn = f.pfn(3);
    turnInto(f, 3, kind);
    expect(found(f, begin(f, pfn, 3, flags))).toBe(pages);
  });

  it('of device-exclusive memory count as mappings', () => {
    const f = large();
    const head = f.folio(16);
    const isDevice = (at: number): boolean => at === 16 || at === 21;
    for (let at = 16; at < 32; at += 1) turnInto(f, at, isDevice(at) ? KIND_DEVICE_EXCLUSIVE : 0);
    expect(found(f, begin(f, head, 16))).toBe('16 21');
  });

  it('are looked for inside the VMA only', () => {
    const f = large();
    const head = f.folio(16);
    f.run({ op: 'munmap', p: 0, at: 24, n: 40 });
    expect(found(f, begin(f, head, 16))).toBe('16 17 18 19 20 21 22 23');
  });

  it('of a single page are looked for at one place, whatever its index', () => {
    const f = new RmapFixture();
    f.map(0, 8);
    f.write(0, 8, 7);
    const walk = new PageVmaMappedWalk();
    walk.begin(f.pfn(3), 1, 999_999, f.vma(3), f.vpn(3), 0);
    expect(found(f, walk)).toBe('3');
    walk.begin(f.pfn(3), 1, 999_999, f.vma(3), f.vpn(4), 0);
    expect(found(f, walk)).toBe('');
  });

  it('beyond the first table are found, and the walk says that it left one', () => {
    const f = large();
    f.run({ op: 'mremap', p: 0, at: 16, n: 16, new: 16, to: 1016, flags: 'fixed' });
    const walk = begin(f, f.folio(1016), 1016);
    expect(runToEnd(pageVmaMappedWalk(f.kernel, walk))).toBe(true);
    expect(walk.flags & PVMW_PGTABLE_CROSSED).toBe(0);
    expect(found(f, walk).split(' ')).toHaveLength(15);
    expect(walk.flags & PVMW_PGTABLE_CROSSED).toBe(PVMW_PGTABLE_CROSSED);
  });

  it('are found in the table behind one that is missing', () => {
    const f = large();
    f.run({ op: 'mremap', p: 0, at: 16, n: 16, new: 16, to: 1016, flags: 'fixed' });
    const head = f.folio(1016);
    const { pageTables } = f.kernel;
    pageTables.flags[pageTables.findPmd(f.mm().pgd, f.vpn(1016))] = 0;
    expect(found(f, begin(f, head, 1016))).toBe('1024 1025 1026 1027 1028 1029 1030 1031');
  });

  it('are not where no table is', () => {
    const f = large();
    const head = f.folio(16);
    f.map(4096, 64);
    expect(found(f, begin(f, head, 4096))).toBe('');
  });
});

describe('huge entries', () => {
  it('are found once, without a PTE', () => {
    const f = huge();
    const walk = begin(f, f.folio(512), 512);
    expect(found(f, walk)).toBe('512 huge');
    expect(walk.isLocked).toBe(false);
  });

  it('of another folio end the search', () => {
    const f = huge();
    const walk = new PageVmaMappedWalk();
    walk.begin(f.folio(512) + 512, 512, f.vma(512).pgoff, f.vma(512), f.vpn(512), 0);
    expect(found(f, walk)).toBe('');
    expect(walk.isLocked).toBe(false);
  });

  it('are found as migration entries with PVMW_MIGRATION only', () => {
    const f = huge();
    const head = f.folio(512);
    expect(found(f, begin(f, head, 512, PVMW_MIGRATION))).toBe('');
    turnInto(f, 512, KIND_MIGRATION_READ | PTE_LEAF);
    expect(found(f, begin(f, head, 512))).toBe('');
    expect(found(f, begin(f, head, 512, PVMW_MIGRATION))).toBe('512 huge');
  });
});

describe('modes', () => {
  it('PVMW_MIGRATION finds migration entries and no others', () => {
    const f = large();
    const head = f.folio(16);
    turnInto(f, 18, KIND_MIGRATION_READ);
    turnInto(f, 19, KIND_SWAP);
    expect(found(f, begin(f, head, 16, PVMW_MIGRATION))).toBe('18');
    expect(found(f, begin(f, head, 16, PVMW_SYNC)).split(' ')).toHaveLength(14);
  });

  it('PVMW_SYNC finds the same and looks under the lock', () => {
    const f = large();
    const head = f.folio(16);
    turnInto(f, 16, 0);
    expect(found(f, begin(f, head, 16, PVMW_SYNC))).toBe(found(f, begin(f, head, 16)));
  });

  it('PVMW_SYNC passes the lock of an empty PMD that may be half zapped', () => {
    const f = huge();
    const head = f.folio(512);
    turnInto(f, 512, 0);
    const walk = begin(f, head, 512, PVMW_SYNC);
    expect(found(f, walk)).toBe('');
    expect(walk.isLocked).toBe(false);
  });
});

describe('ending and restarting', () => {
  it('releases the lock', () => {
    const f = large();
    const walk = begin(f, f.folio(16), 16);
    runToEnd(pageVmaMappedWalk(f.kernel, walk));
    expect(() => walk.begin(0, 1, 0, f.vma(16), f.vpn(16), 0)).toThrow(/another holds its lock/);
    runToEnd(pageVmaMappedWalkDone(walk));
    expect(walk.isLocked).toBe(false);
    runToEnd(pageVmaMappedWalkDone(walk));
  });

  it('looks again from the same page after the tables changed', () => {
    const f = large();
    const walk = begin(f, f.folio(16), 16);
    runToEnd(pageVmaMappedWalk(f.kernel, walk));
    runToEnd(pageVmaMappedWalk(f.kernel, walk));
    runToEnd(pageVmaMappedWalkRestart(walk));
    expect([walk.isLocked, walk.pte, walk.pmd]).toEqual([false, NIL, NIL]);
    expect(found(f, walk).split(' ')[0]).toBe('17');
    expect(() => runToEnd(pageVmaMappedWalkRestart(walk))).toThrow(/without holding its lock/);
  });

  it('refuses a walk that never began', () => {
    expect(() => new PageVmaMappedWalk().vma).toThrow(/before it begins/);
  });
});

it('finds the one entry of a hugetlb folio', () => {
  const f = new RmapFixture();
  f.run({ op: 'config', key: 'hugetlb', value: 4 });
  f.run({ op: 'mmap', p: 0, at: 1024, n: 512, prot: 'rw', flags: 'private|anon|hugetlb' });
  f.write(1024, 1, 7);
  const walk = begin(f, f.folio(1024), 1024);
  expect(runToEnd(pageVmaMappedWalk(f.kernel, walk))).toBe(true);
  expect(walk.pte).toBe(f.entry(1024));
  expect(runToEnd(pageVmaMappedWalk(f.kernel, walk))).toBe(false);
});
