import { expect, it } from 'vitest';
import { RmapFixture } from '../../../test/support/rmap_fixture.js';
import { EFAULT } from '../errno.js';
import { pageAddressInVma, vmaAddress, vmaAddressEnd } from './vma_address.js';

// @covers page_address_in_vma, vma_address, vma_address_end

/** A VMA of 8 pages with offset 100 in its file. */
function fileFixture(): RmapFixture {
  const f = new RmapFixture();
  f.run({ op: 'file', id: 'f', n: 200, kind: 'memfd' });
  f.run({ op: 'mmap', p: 0, at: 10, n: 8, prot: 'rw', flags: 'shared', file: 'f', off: 100 });
  return f;
}

it.each([
  ['at the start', 100, 1, 0],
  ['inside', 103, 2, 3],
  ['the last page', 107, 1, 7],
  ['begins before and reaches in', 96, 8, 0],
  ['begins before and ends just before', 96, 4, undefined],
  ['reaches in by one page', 96, 5, 0],
  ['behind', 108, 1, undefined],
])('finds where a range begins: %s', (_where, pgoff, pages, offset) => {
  const f = fileFixture();
  const expected = offset === undefined ? -EFAULT : f.vpn(10 + offset);
  expect(vmaAddress(f.vma(10), pgoff, pages)).toBe(expected);
});

it.each([
  ['one page, whatever its offset', 5, 999, 1, 6],
  ['inside', 2, 102, 3, 5],
  ['cut by the VMA', 6, 106, 16, 8],
  ['begins before', 0, 96, 8, 4],
])('finds where it ends: %s', (_where, at, pgoff, pages, end) => {
  const f = fileFixture();
  expect(vmaAddressEnd(f.vma(10), f.vpn(10 + at), pgoff, pages)).toBe(f.vpn(10 + end));
});

it('finds a file page in VMAs of its file only', () => {
  const f = fileFixture();
  f.write(12, 1, 7);
  f.run({ op: 'file', id: 'g', n: 200, kind: 'memfd' });
  f.run({ op: 'mmap', p: 0, at: 30, n: 8, prot: 'rw', flags: 'shared', file: 'g', off: 100 });
  f.map(50, 8);
  const head = f.folio(12);
  const find = (at: number): number => pageAddressInVma(f.kernel, head, head, f.vma(at));
  expect([find(10), find(30), find(50)]).toEqual([f.vpn(12), -EFAULT, -EFAULT]);
});

it('finds an anonymous page in VMAs of its tree of anon_vmas', () => {
  const f = new RmapFixture();
  f.useFoliosOf16();
  f.map(16, 16);
  f.write(16, 16, 7);
  f.fork(0, 1);
  f.map(64, 16);
  f.write(64, 1, 7);
  const head = f.folio(16);
  const find = (at: number, p = 0): number =>
    pageAddressInVma(f.kernel, head, head + 5, f.vma(at, p));
  expect([find(16), find(16, 1), find(64)]).toEqual([f.vpn(21), f.vpn(21), -EFAULT]);
});
