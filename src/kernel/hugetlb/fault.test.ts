import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';

// @covers hugetlb_add_new_anon_rmap, hugetlb_add_file_rmap, hugetlb_remove_rmap, hugetlb_add_anon_rmap

/** A machine with `pages` huge pages in the pool. */
function hugetlbScript(pages: number): MachineScript {
  const script = new MachineScript();
  script.run({ op: 'config', key: 'hugetlb', value: pages });
  return script;
}

/** Maps `n` huge pages of nameless memory at page `at`. */
function mapHuge(
  script: MachineScript,
  at: number,
  n: number,
  flags = 'private',
  p = 0,
): number | string {
  const map = { op: 'mmap', p, at, n: n * 512, prot: 'rw' } as const;
  return script.answer({ ...map, flags: `${flags}|anon|hugetlb` });
}

describe('hugetlb faults (spec 98 §10)', () => {
  it('gives a write an exclusive page', () => {
    const script = hugetlbScript(2);
    expect(mapHuge(script, 512, 1)).toBe(512);
    expect(script.write(600, 1, 5).flt).toBe(1);
    const page = script.page(512);
    expect(page).toMatchObject({ level: 'pmd', w: 1, d: 1, ae: 1, x: 1, kc: 1 });
    expect(page?.k === 'page' && page.folioState).toMatchObject({
      order: 9,
      hugetlb: 1,
      index: 0,
      refs: 1,
      entire: 1,
      flags: ['uptodate'],
    });
    expect(script.read(599, 2)).toEqual([0, 5]);
    expect(script.kernel.processes.get(0)?.mm.hugetlbPages).toBe(512);
    expect(script.kernel.processes.get(0)?.mm.rss[1]).toBe(0);
    checkInvariants(script.kernel);
  });

  it('gives a private read a page too: read-only, clean, exclusive', () => {
    const script = hugetlbScript(2);
    mapHuge(script, 512, 1);
    script.read(512);
    expect(script.page(512)).toMatchObject({ w: 0, d: 0, ae: 1 });
    const pfn = script.pfn(512);
    expect(script.write(512, 1, 1).flt).toBe(1);
    expect(script.page(512)).toMatchObject({ w: 1, d: 1, ae: 1 });
    expect(script.pfn(512)).toBe(pfn);
  });

  it('raises SIGBUS without promise and free page', () => {
    const script = hugetlbScript(1);
    mapHuge(script, 512, 1);
    expect(mapHuge(script, 2048, 1, 'private|noreserve')).toBe(2048);
    expect(script.read(2048)).toEqual(['BUS']);
    expect(script.read(512)).toEqual([0]);
  });

  it('zeroes a used page before it is used again, and its dirty flag survives', () => {
    const script = hugetlbScript(1);
    mapHuge(script, 512, 1);
    script.write(512, 1, 9);
    script.run({ op: 'madvise', p: 0, at: 512, n: 512, advice: 'dontneed' });
    expect(script.read(512)).toEqual([0]);
    const page = script.page(512);
    expect(page?.k === 'page' && page.folioState?.flags).toEqual(['uptodate', 'dirty']);
  });

  it('shares the pages of a file, writable and dirty at once', () => {
    const script = hugetlbScript(2);
    mapHuge(script, 512, 1, 'shared');
    script.fork(0, 1);
    script.read(512, 1, 1);
    script.write(512, 1, 3);
    expect(script.page(512, 1)).toMatchObject({ w: 1, d: 1, file: 1, kc: 2 });
    expect(script.read(512, 1, 1)).toEqual([3]);
    const page = script.page(512);
    expect(page?.k === 'page' && page.folioState).toMatchObject({
      refs: 514,
      entire: 2,
      flags: ['uptodate', 'dirty'],
    });
    checkInvariants(script.kernel);
  });

  it('copies the page of a file for a private write', () => {
    const script = hugetlbScript(4);
    script.run({ op: 'file', id: 'h', n: 512, kind: 'memfd_hugetlb' });
    const map = { op: 'mmap', p: 0, n: 512, prot: 'rw', file: 'h', off: 0 } as const;
    script.run({ ...map, at: 512, flags: 'shared' });
    script.run({ ...map, at: 2048, flags: 'private' });
    script.write(512, 1, 4);
    script.read(2048);
    expect(script.page(2048)).toMatchObject({ w: 0, file: 1, kc: 2 });
    script.write(2048, 1, 5);
    expect([script.read(512), script.read(2048)]).toEqual([[4], [5]]);
    expect(script.page(2048)).toMatchObject({ w: 1, ae: 1, kc: 1 });
    checkInvariants(script.kernel);
  });

  it('raises SIGBUS behind the end of the file', () => {
    const script = hugetlbScript(4);
    script.run({ op: 'file', id: 'h', n: 512, kind: 'memfd_hugetlb' });
    const map = { op: 'mmap', p: 0, at: 512, n: 1024, prot: 'r', file: 'h' } as const;
    script.run({ ...map, flags: 'shared', off: 0 });
    expect(script.read(512)).toEqual([0]);
    expect(script.read(1024)).toEqual(['BUS']);
  });
});
