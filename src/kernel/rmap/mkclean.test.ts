import { describe, expect, it } from 'vitest';
import { UnmapFixture } from '../../../test/support/unmap_fixture.js';
import { runToEnd } from '../op/prims.js';
import { PTE_DIRTY, PTE_WRITE } from '../pgtable/pte.js';
import { PG_DIRTY } from '../phys/page_flags.js';
import { folioMkclean, mappingWrprotectRange, pfnMkcleanRange } from './mkclean.js';
import { TlbModel } from './tlb_model.js';

// @covers folio_mkclean, mapping_wrprotect_range, pfn_mkclean_range

/** File pages 0 … 7 at 8 and at 40, written through the first and read through the second. */
function mapped(kind: 'tmp' | 'memfd' = 'memfd'): UnmapFixture {
  const f = new UnmapFixture();
  f.run({ op: 'file', id: 'f', n: 64, kind });
  for (const at of [8, 40]) {
    f.run({ op: 'mmap', p: 0, at, n: 8, prot: 'rw', flags: 'shared', file: 'f', off: 0 });
  }
  f.write(8, 8, 7);
  f.read(40, 8);
  return f;
}

function clean(f: UnmapFixture, head: number): number {
  return runToEnd(folioMkclean(f.kernel, head));
}

describe('folio_mkclean', () => {
  it('makes every shared mapping clean and read-only, and counts those', () => {
    const f = mapped();
    f.fork(0, 1);
    f.read(8, 1, 1);
    expect([f.text(8), f.text(40), f.text(8, 1)]).toEqual(['wdy', 'wdy', 'wdy']);
    expect(clean(f, f.folio(8))).toBe(3);
    expect([f.text(8), f.text(40), f.text(8, 1)]).toEqual(['y', 'y', 'y']);
    expect([f.texts(8, 8), clean(f, f.folio(8))]).toEqual(['8:y, 9:wdy', 0]);
  });

  it('leaves the folio as dirty as it was: the caller transfers what was found', () => {
    const f = mapped('tmp');
    f.run({ op: 'mprotect', p: 0, at: 40, n: 8, prot: 'r' });
    const head = f.folio(8);
    f.kernel.memory.flags[head] &= ~PG_DIRTY;
    expect(clean(f, head)).toBe(1);
    expect(f.kernel.memory.flags[head] & PG_DIRTY).toBe(0);
    // The next write is noticed.
    expect(f.write(8, 1, 9)).toMatchObject({ flt: 1 });
    expect(f.kernel.memory.flags[head] & PG_DIRTY).toBe(PG_DIRTY);
  });

  it('changes entries that are only dirty or only writable too', () => {
    const f = mapped();
    const { flags } = f.kernel.pageTables;
    flags[f.entry(8)] &= ~PTE_DIRTY;
    flags[f.entry(40)] &= ~PTE_WRITE;
    expect([f.text(8), f.text(40)]).toEqual(['wy', 'dy']);
    expect([clean(f, f.folio(8)), f.text(8), f.text(40)]).toEqual([2, 'y', 'y']);
  });

  it('passes over private mappings, and entries that are clean and read-only', () => {
    const f = mapped();
    f.run({ op: 'mmap', p: 0, at: 80, n: 8, prot: 'rw', flags: 'private', file: 'f', off: 0 });
    f.read(80);
    const before = f.text(80);
    f.run({ op: 'mprotect', p: 0, at: 40, n: 8, prot: 'r' });
    clean(f, f.folio(8));
    f.write(8, 1, 9);
    const visited: number[] = [];
    f.kernel.notifiers.add(f.mm(), {
      rangeStart: (_mm, start) => void visited.push(start - f.vpn(0)),
    });
    expect([clean(f, f.folio(8)), f.text(80), f.text(40)]).toEqual([1, before, 'y']);
    expect(visited).toEqual([8, 40]);
  });

  it('finds nothing in anonymous memory and for folios that nothing maps', () => {
    const f = mapped();
    const head = f.folio(8);
    f.run({ op: 'munmap', p: 0, at: 8, n: 8 }, { op: 'munmap', p: 0, at: 40, n: 8 });
    expect(clean(f, head)).toBe(0);
    f.map(16, 1);
    f.write(16, 1, 7);
    expect([clean(f, f.folio(16)), f.text(16)]).toEqual([0, 'wdy e']);
  });

  it('cleans all pages of a large folio, and a huge entry as one', () => {
    const f = new UnmapFixture();
    f.run(
      { op: 'config', key: 'shmem_mthp.64kB', value: 'always' },
      { op: 'file', id: 'f', n: 32, kind: 'memfd' },
      { op: 'mmap', p: 0, at: 16, n: 16, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
    );
    f.write(16, 16, 7);
    const heard: Array<[number, number]> = [];
    f.kernel.notifiers.add(f.mm(), {
      rangeStart: (_mm, start, end) => void heard.push([start - f.vpn(0), end - f.vpn(0)]),
    });
    expect([clean(f, f.folio(16)), f.texts(16, 16), heard]).toEqual([16, '16:y', [[16, 32]]]);
    const huge = new UnmapFixture();
    huge.run(
      { op: 'config', key: 'shmem_thp', value: 'always' },
      { op: 'file', id: 'f', n: 512, kind: 'memfd' },
      { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
    );
    huge.write(512, 1, 7);
    huge.kernel.tlb = new TlbModel();
    huge.kernel.tlb.remember(huge.mm(), huge.vpn(700), huge.pfn(700), true);
    expect([huge.page(512), clean(huge, huge.folio(512))]).toMatchObject([{ level: 'pmd' }, 1]);
    expect([huge.text(512), huge.page(512)]).toMatchObject(['y', { level: 'pmd' }]);
    expect(huge.kernel.tlb.find(huge.mm(), huge.vpn(700))).toBeUndefined();
  });

  it('flushes translations through which a write would go unnoticed, and tells others', () => {
    const f = mapped();
    const tlb = new TlbModel();
    f.kernel.tlb = tlb;
    for (const at of [8, 9]) tlb.remember(f.mm(), f.vpn(at), f.pfn(at), true);
    const heard: string[] = [];
    f.kernel.notifiers.add(f.mm(), {
      rangeStart: (_mm, start, _end, event) => heard.push(`start ${event} ${start - f.vpn(0)}`),
      rangeEnd: (_mm, start, _end, event) => heard.push(`end ${event} ${start - f.vpn(0)}`),
    });
    clean(f, f.folio(8));
    expect([tlb.find(f.mm(), f.vpn(8)), tlb.findStale(f.kernel)]).toEqual([undefined, []]);
    expect(tlb.find(f.mm(), f.vpn(9))).toMatchObject({ isWritable: true });
    expect(heard).toEqual([
      'start protectionPage 8',
      'end protectionPage 8',
      'start protectionPage 40',
      'end protectionPage 40',
    ]);
  });

  it('happens to all dirty pages of a file that is written back', () => {
    const f = mapped('tmp');
    expect([f.text(8), f.machine.file('f').disk.get(0)]).toEqual(['wdy', undefined]);
    f.run({ op: 'filewrite', file: 'f', at: 20, n: 1, v: 3 });
    expect([f.texts(8, 8), f.machine.file('f').disk.get(0)]).toEqual(['8:y', 7]);
    expect([f.write(8, 1, 9), f.broken]).toMatchObject([{ flt: 1 }, []]);
  });
});

describe('mapping_wrprotect_range', () => {
  /** Memory of a driver: pages that a file's VMAs map without being folios of the file. */
  function driverMemory(): UnmapFixture {
    const f = mapped();
    f.map(200, 8);
    f.write(200, 8, 3);
    const { pageTables } = f.kernel;
    for (let i = 0; i < 8; i += 1) {
      pageTables.payload[f.entry(8 + i)] = f.pfn(200 + i);
      pageTables.payload[f.entry(40 + i)] = f.pfn(200 + i);
    }
    return f;
  }

  function protect(f: UnmapFixture, pgoff: number, pfn: number, pages: number): number {
    const mapping = f.machine.file('f');
    return runToEnd(mappingWrprotectRange(f.kernel, mapping, pgoff, pfn, pages));
  }

  it('finds the pages by the offset of the file, in all shared VMAs', () => {
    const f = driverMemory();
    expect(protect(f, 2, f.pfn(202), 1)).toBe(2);
    expect([f.texts(8, 8), f.texts(40, 8)]).toEqual([
      '8:wdy e, 10:y e, 11:wdy e',
      '40:wdy e, 42:y e, 43:wdy e',
    ]);
    expect(f.text(202)).toBe('wdy e');
  });

  it('leaves private mappings alone', () => {
    const f = driverMemory();
    f.run({ op: 'mmap', p: 0, at: 80, n: 8, prot: 'rw', flags: 'private', file: 'f', off: 0 });
    f.write(82, 1, 9);
    f.kernel.pageTables.payload[f.entry(82)] = f.pfn(202);
    const before = f.text(82);
    expect([protect(f, 2, f.pfn(202), 1), f.text(82)]).toEqual([2, before]);
  });

  it('changes nothing where other pages are mapped, and outside of VMAs', () => {
    const f = driverMemory();
    expect(protect(f, 2, f.pfn(203), 1)).toBe(0);
    expect(protect(f, 20, f.pfn(202), 4)).toBe(0);
    expect(runToEnd(mappingWrprotectRange(f.kernel, undefined, 0, f.pfn(200), 8))).toBe(0);
    expect(f.texts(8, 8)).toBe('8:wdy e');
  });

  it('takes the lock of the file', () => {
    const f = driverMemory();
    protect(f, 0, f.pfn(200), 1);
    const { readers, writers } = f.machine.file('f').iMmapRwsem;
    expect([readers, writers]).toEqual([0, 0]);
  });
});

describe('pfn_mkclean_range', () => {
  it('cleans the given pages in one VMA', () => {
    const f = mapped();
    const vma = f.vma(8);
    expect(runToEnd(pfnMkcleanRange(f.kernel, f.pfn(10), 1, 2, vma))).toBe(1);
    expect([f.texts(8, 8), f.texts(40, 8)]).toEqual(['8:wdy, 10:y, 11:wdy', '40:wdy']);
  });

  it('cuts a range that begins before the VMA', () => {
    const f = new UnmapFixture();
    f.run(
      { op: 'config', key: 'shmem_mthp.64kB', value: 'always' },
      { op: 'file', id: 'f', n: 32, kind: 'memfd' },
      { op: 'mmap', p: 0, at: 96, n: 16, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
      { op: 'mmap', p: 0, at: 16, n: 8, prot: 'rw', flags: 'shared', file: 'f', off: 4 },
    );
    f.write(96, 16, 7);
    f.write(16, 8, 7);
    const head = f.folio(16);
    expect(f.pfn(16)).toBe(head + 4);
    expect(runToEnd(pfnMkcleanRange(f.kernel, head, 6, 0, f.vma(16)))).toBe(2);
    expect(f.texts(16, 8)).toBe('16:y, 18:wdy');
  });

  it('leaves private VMAs alone and refuses ranges that the VMA does not map', () => {
    const f = mapped();
    f.map(200, 1);
    f.write(200, 1, 7);
    const anon = f.vma(200);
    expect(runToEnd(pfnMkcleanRange(f.kernel, f.pfn(200), 1, anon.pgoff, anon))).toBe(0);
    expect(f.text(200)).toBe('wdy e');
    expect(() => runToEnd(pfnMkcleanRange(f.kernel, f.pfn(8), 1, 30, f.vma(8)))).toThrow(
      /not mapped by the VMA/,
    );
  });
});
