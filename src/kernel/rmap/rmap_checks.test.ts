import { expect, it } from 'vitest';
import { RmapFixture } from '../../../test/support/rmap_fixture.js';
import { checkAnonPosition, folioRmapSanityChecks } from './rmap_checks.js';
import {
  type PageTableLevel,
  PGTABLE_LEVEL_P4D,
  PGTABLE_LEVEL_PGD,
  RMAP_LEVEL_PMD,
  RMAP_LEVEL_PTE,
  RMAP_LEVEL_PUD,
} from './rmap_level.js';

// @covers __folio_rmap_sanity_checks, rmap_level, RMAP_LEVEL_PTE, RMAP_LEVEL_PMD, RMAP_LEVEL_PUD
// @covers pgtable_level, PGTABLE_LEVEL_PTE, PGTABLE_LEVEL_PMD, PGTABLE_LEVEL_PUD
// @covers PGTABLE_LEVEL_P4D, PGTABLE_LEVEL_PGD

/** A folio of 16 pages at page 16, and a hugetlb folio at page 512. */
function fixture(): RmapFixture {
  const f = new RmapFixture();
  f.useFoliosOf16();
  f.map(16, 16);
  f.write(16, 16, 7);
  f.run(
    { op: 'config', key: 'hugetlb', value: 1 },
    { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw', flags: 'private|anon|hugetlb' },
  );
  f.write(512, 1, 7);
  return f;
}

function check(f: RmapFixture, page: number, count: number, level: PageTableLevel): void {
  folioRmapSanityChecks(f.kernel, f.kernel.memory.folioOf(page), page, count, level);
}

it('lets every part of a folio pass at the level of its size', () => {
  const f = fixture();
  const head = f.folio(16);
  expect(() => check(f, head, 16, RMAP_LEVEL_PTE)).not.toThrow();
  expect(() => check(f, head + 15, 1, RMAP_LEVEL_PTE)).not.toThrow();
  const huge = new RmapFixture();
  huge.useHugePages();
  huge.map(512, 512);
  huge.write(512, 1, 7);
  expect(() => check(huge, huge.folio(512), 512, RMAP_LEVEL_PMD)).not.toThrow();
  expect(() => check(huge, huge.folio(512), 512, RMAP_LEVEL_PUD)).toThrow(/one entry of 262144/);
});

it.each<[string, (f: RmapFixture) => void, RegExp]>([
  ['no page', (f) => check(f, f.pfn(16), 0, RMAP_LEVEL_PTE), /not inside/],
  ['pages behind the end', (f) => check(f, f.pfn(25), 8, RMAP_LEVEL_PTE), /not inside/],
  ['a PMD of 16 pages', (f) => check(f, f.pfn(16), 16, RMAP_LEVEL_PMD), /one entry/],
  ['a PUD of 16 pages', (f) => check(f, f.pfn(16), 16, RMAP_LEVEL_PUD), /one entry/],
  ['a P4D', (f) => check(f, f.pfn(16), 16, PGTABLE_LEVEL_P4D), /level 3/],
  ['a PGD', (f) => check(f, f.pfn(16), 16, PGTABLE_LEVEL_PGD), /level 4/],
  ['hugetlb', (f) => check(f, f.pfn(512), 512, RMAP_LEVEL_PMD), /hugetlb/],
  ['the zero page', (f) => check(f, f.kernel.memory.zeroPfn, 1, RMAP_LEVEL_PTE), /zero folio/],
  [
    'a freed anon_vma',
    (f) => {
      const { anonVma } = f.vma(16);
      if (anonVma !== undefined) anonVma.refcount = 0;
      check(f, f.pfn(16), 1, RMAP_LEVEL_PTE);
    },
    /freed anon_vma/,
  ],
])('stops %s', (_what, act, message) => {
  const f = fixture();
  expect(() => act(f)).toThrow(message);
});

it('lets a folio be mapped again only where its reverse map leads', () => {
  const f = fixture();
  f.map(64, 16);
  f.write(64, 1, 7);
  const head = f.folio(16);
  const at = (vma: number, page: number) => () =>
    checkAnonPosition(f.kernel, head, head + 3, f.vma(vma), f.vpn(page));
  expect(at(16, 19)).not.toThrow();
  expect(at(16, 20)).toThrow(/is mapped at index/);
  expect(at(64, 67)).toThrow(/another root/);
});
