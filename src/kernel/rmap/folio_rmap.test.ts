import { describe, expect, it } from 'vitest';
import { RmapFixture } from '../../../test/support/rmap_fixture.js';
import { EBUSY } from '../errno.js';
import { PTE_PRESENT } from '../pgtable/pte.js';
import {
  folioAlloc,
  folioAveragePageMapcount,
  folioMapcount,
  folioMaybeMappedShared,
  folioPrecisePageMapcount,
  largeRow,
  setFileMapping,
} from '../phys/folio.js';
import { PG_ANON_EXCLUSIVE, PG_SWAPBACKED } from '../phys/page_flags.js';
import type { Profile } from '../profile.js';
import type { Vma } from '../vm/vma.js';
import {
  folioAddAnonRmapPmd,
  folioAddAnonRmapPtes,
  folioAddFileRmapPmd,
  folioAddFileRmapPtes,
  folioAddFileRmapPud,
  folioAddNewAnonRmap,
  folioDupFileRmapPmd,
  folioDupFileRmapPtes,
  folioRemoveRmapPmd,
  folioRemoveRmapPtes,
  folioRemoveRmapPud,
  folioTryDupAnonRmapPmd,
  folioTryDupAnonRmapPtes,
  folioTryShareAnonRmapPmd,
  folioTryShareAnonRmapPte,
} from './folio_rmap.js';
import { ENTIRELY_MAPPED } from './rmap_level.js';

// @covers folio_add_new_anon_rmap, folio_add_anon_rmap_ptes, folio_add_anon_rmap_pte
// @covers folio_add_anon_rmap_pmd, folio_add_file_rmap_ptes, folio_add_file_rmap_pte
// @covers folio_add_file_rmap_pmd, folio_add_file_rmap_pud, folio_remove_rmap_ptes
// @covers folio_remove_rmap_pte, folio_remove_rmap_pmd, folio_remove_rmap_pud
// @covers folio_dup_file_rmap_ptes, folio_dup_file_rmap_pte, folio_dup_file_rmap_pmd
// @covers __folio_dup_file_rmap, __folio_try_dup_anon_rmap, folio_try_dup_anon_rmap_ptes
// @covers folio_try_dup_anon_rmap_pte, folio_try_dup_anon_rmap_pmd, __folio_try_share_anon_rmap
// @covers folio_try_share_anon_rmap_pte, folio_try_share_anon_rmap_pmd, folio._nr_pages_mapped
// @covers folio._entire_mapcount, folio._mapcount, folio._refcount, folio._pincount, folio.flags
// @covers folio.index, folio.mapping, folio, rmap_t, RMAP_NONE, RMAP_EXCLUSIVE

/** Process 0 has written memory with an anon_vma, 1 is its child; folios are added by hand. */
class Folios extends RmapFixture {
  readonly own: Vma;
  readonly child: Vma;

  constructor(profile: Partial<Profile> = {}) {
    super(profile);
    this.map(512, 1024);
    this.write(600, 1, 1);
    this.fork(0, 1);
    this.run({ op: 'file', id: 'f', n: 512, kind: 'tmp' });
    this.own = this.vma(512);
    this.child = this.vma(512, 1);
    this.zeroStats();
  }

  private zeroStats(): void {
    const { stats } = this.kernel;
    stats.anonMapped = 0;
    stats.fileMapped = 0;
  }

  get at(): number {
    return this.own.start;
  }

  anon(order: number, exclusive = true): number {
    const head = folioAlloc(this.kernel, order, 0);
    folioAddNewAnonRmap(this.kernel, head, this.own, this.at, exclusive);
    return head;
  }

  file(order: number, isShmem = false): number {
    const head = folioAlloc(this.kernel, order, 0);
    setFileMapping(this.kernel, head, this.machine.file('f'), 0);
    if (isShmem) this.kernel.memory.flags[head] |= PG_SWAPBACKED;
    return head;
  }

  /** `entire large nr_pages_mapped`, the last with `E+` while entirely mapped. */
  counts(head: number): string {
    const { large } = this.kernel;
    const row = largeRow(this.kernel, head);
    const mapped = large.pagesMapped[row];
    const pages = mapped >= ENTIRELY_MAPPED ? `E+${mapped - ENTIRELY_MAPPED}` : `${mapped}`;
    return `${large.entireMapcount[row]} ${large.largeMapcount[row]} ${pages}`;
  }

  /** Statistics in pages: `anon+thps file+pmd shmem-pmd`. */
  stats(): string {
    const { anonMapped, anonThps, fileMapped, filePmdMapped, shmemPmdMapped } = this.kernel.stats;
    return `${anonMapped}+${anonThps} ${fileMapped}+${filePmdMapped} ${shmemPmdMapped}`;
  }

  isExclusive(pfn: number): boolean {
    return (this.kernel.memory.flags[pfn] & PG_ANON_EXCLUSIVE) !== 0;
  }

  isPartiallyMapped(head: number): boolean {
    return this.kernel.large.partiallyMapped[largeRow(this.kernel, head)] !== 0;
  }

  /** As fork sees it: a pin of a process that has pinned. */
  pinDuringFork(head: number): void {
    this.mm().hasPinned = true;
    this.mm().writeProtectSeq = 1;
    if (this.kernel.memory.isLarge(head)) {
      this.kernel.large.pincount[largeRow(this.kernel, head)] = 1;
    } else {
      this.kernel.memory.refcount[head] += 1024;
    }
  }
}

describe('worked example: a THP, its fork and its pieces', () => {
  it('counts as the table says', () => {
    const f = new Folios();
    const { kernel, own, child, at } = f;
    const head = f.anon(9);
    expect([f.counts(head), f.stats()]).toEqual(['1 1 E+0', '512+512 0+0 0']);
    expect(folioTryDupAnonRmapPmd(kernel, head, child, own)).toBe(0);
    expect([f.counts(head), f.stats()]).toEqual(['2 2 E+0', '512+512 0+0 0']);
    folioAddAnonRmapPtes(kernel, head, head, 512, child, at, false);
    expect(f.counts(head)).toBe('2 514 E+512');
    expect(kernel.memory.mapcount[head + 511]).toBe(1);
    expect(folioPrecisePageMapcount(kernel, head, head)).toBe(3);
    folioRemoveRmapPmd(kernel, head, child);
    expect([f.counts(head), f.stats()]).toEqual(['1 513 E+512', '512+512 0+0 0']);
    folioRemoveRmapPtes(kernel, head, head + 3, 2, child);
    expect([f.counts(head), f.stats()]).toEqual(['1 511 E+510', '512+512 0+0 0']);
    expect(kernel.memory.mapcount[head + 3]).toBe(0);
    expect(f.isPartiallyMapped(head)).toBe(false);
    folioRemoveRmapPmd(kernel, head, own);
    expect([f.counts(head), f.stats()]).toEqual(['0 510 510', '510+0 0+0 0']);
    expect(f.isPartiallyMapped(head)).toBe(true);
  });

  it.each([
    ['of a disk file', false, '0+0 512+512 0', '0+0 3+0 0'],
    ['of shmem', true, '0+0 512+0 512', '0+0 3+0 0'],
  ])('a huge folio %s is never queued for a split', (_kind, isShmem, both, after) => {
    const f = new Folios();
    const head = f.file(9, isShmem);
    folioAddFileRmapPmd(f.kernel, head, f.own);
    folioAddFileRmapPtes(f.kernel, head, head, 3, f.child);
    expect([f.counts(head), f.stats()]).toEqual(['1 4 E+3', both]);
    folioRemoveRmapPmd(f.kernel, head, f.own);
    expect([f.counts(head), f.stats()]).toEqual(['0 3 3', after]);
    expect(f.isPartiallyMapped(head)).toBe(false);
  });

  it('pages that PTEs map already count once when a PMD comes', () => {
    const f = new Folios();
    const head = f.file(9);
    folioAddFileRmapPtes(f.kernel, head, head, 3, f.child);
    folioAddFileRmapPmd(f.kernel, head, f.own);
    expect([f.counts(head), f.stats()]).toEqual(['1 4 E+3', '0+0 512+512 0']);
  });
});

describe('first mapping of a new anonymous folio', () => {
  it.each([
    ['small', 0, '1+0 0+0 0'],
    ['smaller than a PMD', 4, '16+0 0+0 0'],
    ['of PMD size', 9, '512+512 0+0 0'],
  ])('%s', (_size, order, stats) => {
    const f = new Folios();
    const head = f.anon(order);
    expect(f.stats()).toBe(stats);
    expect(f.kernel.memory.flags[head] & PG_SWAPBACKED).toBe(PG_SWAPBACKED);
    expect(f.kernel.memory.index[head]).toBe(f.own.pgoff);
    expect(f.isExclusive(head)).toBe(true);
    // Every page of a PTE-mapped folio, the head only of a PMD-mapped one.
    expect(f.isExclusive(head + 1)).toBe(order === 4);
    expect(folioMapcount(f.kernel, head)).toBe(order === 4 ? 16 : 1);
  });

  it('belongs to the root anon_vma unless it is exclusive', () => {
    const f = new Folios();
    const head = folioAlloc(f.kernel, 0, 0);
    folioAddNewAnonRmap(f.kernel, head, f.child, f.child.start, false);
    expect(f.kernel.memory.mapping[head] >> 2).toBe(f.own.anonVma?.id);
    const other = folioAlloc(f.kernel, 0, 0);
    folioAddNewAnonRmap(f.kernel, other, f.child, f.child.start + 1, true);
    expect(f.kernel.memory.mapping[other] >> 2).toBe(f.child.anonVma?.id);
    expect([f.isExclusive(head), f.isExclusive(other)]).toEqual([false, true]);
  });

  it('must lie inside its VMA and not be mapped yet', () => {
    const f = new Folios();
    const head = folioAlloc(f.kernel, 4, 0);
    expect(() => folioAddNewAnonRmap(f.kernel, head, f.own, f.own.end - 8, true)).toThrow(
      /outside their VMA/,
    );
    const small = f.anon(0);
    expect(() => folioAddNewAnonRmap(f.kernel, small, f.own, f.at, true)).toThrow(/already mapped/);
  });
});

describe('further mappings of anonymous folios', () => {
  it('count a small page once in the statistics', () => {
    const f = new Folios();
    const head = f.anon(0, false);
    folioAddAnonRmapPtes(f.kernel, head, head, 1, f.child, f.at, false);
    expect([folioMapcount(f.kernel, head), f.stats()]).toEqual([2, '1+0 0+0 0']);
    folioRemoveRmapPtes(f.kernel, head, head, 1, f.child);
    folioRemoveRmapPtes(f.kernel, head, head, 1, f.own);
    expect([folioMapcount(f.kernel, head), f.stats()]).toEqual([0, '0+0 0+0 0']);
    expect(() => folioRemoveRmapPtes(f.kernel, head, head, 1, f.own)).toThrow(/more often/);
  });

  it('may not share an exclusive page', () => {
    const f = new Folios();
    const [small, large, huge] = [f.anon(0), f.anon(4), f.anon(9)];
    const add = (head: number, pages: number) => (): void =>
      folioAddAnonRmapPtes(f.kernel, head, head, pages, f.child, f.at, false);
    expect(add(small, 1)).toThrow(/exclusive but mapped more than once/);
    expect(add(large, 16)).toThrow(/exclusive but mapped more than once/);
    expect(() => folioAddAnonRmapPmd(f.kernel, huge, f.child, f.at, false)).toThrow(
      /exclusive but mapped more than once/,
    );
  });

  it('mark the pages that the caller says are exclusive', () => {
    const f = new Folios();
    const head = f.anon(4, false);
    folioRemoveRmapPtes(f.kernel, head, head, 16, f.own);
    folioAddAnonRmapPtes(f.kernel, head, head + 2, 3, f.own, f.at + 2, true);
    const marks = Array.from({ length: 6 }, (_, i) => f.isExclusive(head + i));
    expect(marks).toEqual([false, false, true, true, true, false]);
    expect(f.counts(head)).toBe('0 3 3');
  });

  it('must be where the reverse map looks for them', () => {
    const f = new Folios();
    const head = f.anon(0, false);
    expect(() => folioAddAnonRmapPtes(f.kernel, head, head, 1, f.child, f.at + 1, false)).toThrow(
      /is mapped at index/,
    );
    f.map(2048, 4);
    f.write(2048, 1, 1);
    expect(() =>
      folioAddAnonRmapPtes(f.kernel, head, head, 1, f.vma(2048), f.vpn(2048), false),
    ).toThrow(/another root/);
  });
});

describe('fork', () => {
  it('raises counts without statistics and takes exclusiveness', () => {
    const f = new Folios();
    const [small, large] = [f.anon(0), f.anon(4)];
    const before = f.stats();
    expect(folioTryDupAnonRmapPtes(f.kernel, small, small, 1, f.child, f.own)).toBe(0);
    expect(folioTryDupAnonRmapPtes(f.kernel, large, large, 16, f.child, f.own)).toBe(0);
    expect([folioMapcount(f.kernel, small), f.counts(large)]).toEqual([2, '0 32 16']);
    expect([small, large, large + 15].some((pfn) => f.isExclusive(pfn))).toBe(false);
    expect(folioMaybeMappedShared(f.kernel, large)).toBe(true);
    expect(f.stats()).toBe(before);
  });

  it.each([0, 4, 9])('changes nothing of a pinned folio of order %i', (order) => {
    const f = new Folios();
    const head = f.anon(order);
    f.pinDuringFork(head);
    const dup = (): number =>
      order === 9
        ? folioTryDupAnonRmapPmd(f.kernel, head, f.child, f.own)
        : folioTryDupAnonRmapPtes(f.kernel, head, head, 2 ** order, f.child, f.own);
    const before = folioMapcount(f.kernel, head);
    expect(dup()).toBe(-EBUSY);
    expect(folioMapcount(f.kernel, head)).toBe(before);
    expect(f.isExclusive(head + 2 ** (order % 9) - 1)).toBe(true);
    // What is shared already may be shared further.
    for (let i = 0; i < 2 ** order; i += 1) f.kernel.memory.flags[head + i] &= ~PG_ANON_EXCLUSIVE;
    expect(dup()).toBe(0);
  });

  it('asks for one exclusive page among the batch only', () => {
    const f = new Folios();
    const head = f.anon(4);
    f.pinDuringFork(head);
    for (let i = 0; i < 8; i += 1) f.kernel.memory.flags[head + i] &= ~PG_ANON_EXCLUSIVE;
    expect(folioTryDupAnonRmapPtes(f.kernel, head, head, 8, f.child, f.own)).toBe(0);
    expect(folioTryDupAnonRmapPtes(f.kernel, head, head + 7, 2, f.child, f.own)).toBe(-EBUSY);
  });

  it('duplicates file mappings', () => {
    const f = new Folios();
    const [small, large] = [f.file(0), f.file(4)];
    folioAddFileRmapPtes(f.kernel, small, small, 1, f.own);
    folioAddFileRmapPtes(f.kernel, large, large, 4, f.own);
    folioDupFileRmapPtes(f.kernel, small, small, 1, f.child);
    folioDupFileRmapPtes(f.kernel, large, large, 4, f.child);
    expect([folioMapcount(f.kernel, small), f.counts(large)]).toEqual([2, '0 8 4']);
    expect(f.stats()).toBe('0+0 5+0 0');
    expect(() => folioDupFileRmapPtes(f.kernel, f.anon(0), 0, 1, f.child)).toThrow(/anonymous/);
  });

  it('would duplicate a file PMD, which the header does at the wrong level', () => {
    const f = new Folios();
    const head = f.file(9);
    folioAddFileRmapPmd(f.kernel, head, f.own);
    folioDupFileRmapPmd(f.kernel, head, f.child);
    expect(f.counts(head)).toBe('2 2 E+0');
    folioDupFileRmapPmd(f.kernel, head, f.child, true);
    expect(f.counts(head)).toBe('2 514 E+0');
    expect(f.kernel.memory.mapcount[head + 100]).toBe(1);
  });
});

describe('sharing outside of fork', () => {
  it('takes the mark of one page, or of the head for a PMD', () => {
    const f = new Folios();
    const [large, huge] = [f.anon(4), f.anon(9)];
    expect(folioTryShareAnonRmapPte(f.kernel, large, large + 5)).toBe(0);
    expect([4, 5, 6].map((i) => f.isExclusive(large + i))).toEqual([true, false, true]);
    expect(folioTryShareAnonRmapPmd(f.kernel, huge)).toBe(0);
    expect(f.isExclusive(huge)).toBe(false);
    expect([f.counts(large), f.counts(huge)]).toEqual(['0 16 16', '1 1 E+0']);
  });

  it.each([0, 4, 9])('refuses a pinned folio of order %i', (order) => {
    const f = new Folios();
    const head = f.anon(order);
    f.pinDuringFork(head);
    expect(
      order === 9
        ? folioTryShareAnonRmapPmd(f.kernel, head)
        : folioTryShareAnonRmapPte(f.kernel, head, head),
    ).toBe(-EBUSY);
    expect(f.isExclusive(head)).toBe(true);
  });

  it('is asked of exclusive pages only', () => {
    const f = new Folios();
    const head = f.anon(0, false);
    expect(() => folioTryShareAnonRmapPte(f.kernel, head, head)).toThrow(/not exclusive/);
  });
});

describe('PUD mappings', () => {
  it('count the whole, but not as PMD-mapped', () => {
    const f = new Folios({ memoryPages: 600_000 });
    const head = f.file(18);
    folioAddFileRmapPud(f.kernel, head, f.own);
    expect([f.counts(head), f.stats()]).toEqual(['1 1 E+0', '0+0 262144+0 0']);
    folioRemoveRmapPud(f.kernel, head, f.own);
    expect([f.counts(head), f.stats()]).toEqual(['0 0 0', '0+0 0+0 0']);
  });
});

describe('without per-page mapcounts', () => {
  it('the total decides: all pages count while any is mapped', () => {
    const f = new Folios({ pageMapcount: false });
    const head = f.anon(4);
    expect(f.kernel.memory.mapcount[head]).toBe(0);
    expect(f.stats()).toBe('16+0 0+0 0');
    folioRemoveRmapPtes(f.kernel, head, head, 6, f.own);
    expect([f.counts(head), f.stats()]).toEqual(['0 10 0', '16+0 0+0 0']);
    expect(f.isPartiallyMapped(head)).toBe(true);
    folioRemoveRmapPtes(f.kernel, head, head + 6, 10, f.own);
    expect([f.counts(head), f.stats()]).toEqual(['0 0 0', '0+0 0+0 0']);
    folioAddAnonRmapPtes(f.kernel, head, head, 1, f.own, f.at, true);
    expect(f.stats()).toBe('16+0 0+0 0');
  });

  it('a PMD that leaves some PTEs behind leaves the folio partially mapped', () => {
    const f = new Folios({ pageMapcount: false });
    const head = f.anon(9);
    f.kernel.memory.flags[head] &= ~PG_ANON_EXCLUSIVE;
    folioAddAnonRmapPtes(f.kernel, head, head, 5, f.child, f.at, false);
    folioRemoveRmapPmd(f.kernel, head, f.own);
    expect([f.counts(head), f.stats()]).toEqual(['0 5 0', '512+0 0+0 0']);
    expect(f.isPartiallyMapped(head)).toBe(true);
  });

  it.each([
    [3, 0, 1],
    [600, 0, 1],
    [514, 2, 3],
    [2, 2, 2],
    [0, 0, 0],
  ])('the average of %i mappings, %i of them entire, is %i', (total, entire, average) => {
    const f = new Folios({ pageMapcount: false });
    const head = f.anon(9);
    const row = largeRow(f.kernel, head);
    f.kernel.large.largeMapcount[row] = total;
    f.kernel.large.entireMapcount[row] = entire;
    expect(folioAveragePageMapcount(f.kernel, head)).toBe(average);
  });
});

it('keeps the page tables out of it: no entry changes', () => {
  const f = new Folios();
  const before = f.entryFlags(600);
  f.anon(4);
  expect(f.entryFlags(600)).toBe(before);
  expect(before & PTE_PRESENT).toBe(PTE_PRESENT);
});
