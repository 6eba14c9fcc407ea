import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';

// @covers hugetlb_try_dup_anon_rmap, folio_move_anon_rmap, hugetlb_remove_rmap

/** One private huge page at page 512, written; the pool has `pages`. */
function writtenScript(pages: number): MachineScript {
  const script = new MachineScript();
  script.run({ op: 'config', key: 'hugetlb', value: pages });
  const map = { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw' } as const;
  script.run({ ...map, flags: 'private|anon|hugetlb' });
  script.write(512, 1, 1);
  return script;
}

describe('hugetlb copy-on-write (spec 98 §10, 30 §2.5)', () => {
  it('copies while another process maps the page', () => {
    const script = writtenScript(2);
    script.fork(0, 1);
    expect(script.page(512, 1)).toMatchObject({ w: 0, d: 1, y: 1, ae: 0, kc: 2 });
    script.write(512, 1, 2);
    expect([script.read(512), script.read(512, 1, 1)]).toEqual([[2], [1]]);
    expect(script.page(512)).toMatchObject({ w: 1, ae: 1, kc: 1 });
    checkInvariants(script.kernel);
  });

  it('reuses the page once it is the only mapper, and moves it to the writer', () => {
    const script = writtenScript(2);
    script.fork(0, 1);
    script.run({ op: 'exit', p: 0 });
    const pfn = script.pfn(512, 1);
    script.write(512, 1, 2, 1);
    expect(script.pfn(512, 1)).toBe(pfn);
    const page = script.page(512, 1);
    expect(page?.k === 'page' && page.folioState?.av).toBe(script.state().procs[1].vmas[0].av);
    checkInvariants(script.kernel);
  });

  it('ignores other references: a pipe sees the new data (the known leak)', () => {
    const script = writtenScript(2);
    script.fork(0, 1);
    script.run({ op: 'vmsplice', p: 1, at: 512, n: 1, id: 1 });
    script.run({ op: 'munmap', p: 1, at: 512, n: 512 });
    script.write(512, 1, 7);
    expect(script.run({ op: 'vmdrain', p: 1, id: 1, n: 1 }).vals).toEqual([[7, 1]]);
  });

  it('takes the page from the child when the owner finds none free', () => {
    const script = writtenScript(1);
    script.fork(0, 1);
    const pfn = script.pfn(512);
    expect(script.write(512, 1, 2)).toMatchObject({ ret: 0 });
    expect(script.pfn(512)).toBe(pfn);
    expect(script.page(512, 1)).toBeUndefined();
    expect(script.read(512, 1, 1)).toEqual(['BUS']);
    checkInvariants(script.kernel);
  });

  it('gives a child without free page SIGBUS and keeps its mapping', () => {
    const script = writtenScript(1);
    script.fork(0, 1);
    expect(script.run({ op: 'write', p: 1, at: 512, n: 1, v: 2 }).vals).toEqual([['BUS', 1]]);
    expect(script.page(512, 1)).toMatchObject({ w: 0, kc: 2 });
  });

  it('prepares an anon_vma only once it has a page to copy to', () => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'hugetlb', value: 1 });
    script.run({ op: 'file', id: 'f', n: 512, kind: 'memfd_hugetlb' });
    const map = { op: 'mmap', p: 0, n: 512, prot: 'rw', file: 'f', off: 0 } as const;
    script.run({ ...map, at: 512, flags: 'shared' });
    script.write(512, 1, 4);
    script.run({ ...map, at: 1536, flags: 'private|noreserve' });
    expect(script.run({ op: 'write', p: 0, at: 1536, n: 1, v: 5 }).vals).toEqual([['BUS', 1]]);
    expect(script.page(1536)).toMatchObject({ w: 0, file: 1 });
    expect(script.state().procs[0].vmas[1].av).toBeNull();
    script.run({ op: 'config', key: 'hugetlb', value: 2 });
    script.write(1536, 1, 6);
    expect(script.state().procs[0].vmas[1].av).not.toBeNull();
    checkInvariants(script.kernel);
  });

  it('keeps its promise when there is a page and no anon_vma', () => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'hugetlb', value: 2 });
    script.run({ op: 'file', id: 'f', n: 512, kind: 'memfd_hugetlb' });
    const map = { op: 'mmap', p: 0, n: 512, prot: 'rw', file: 'f', off: 0 } as const;
    script.run({ ...map, at: 512, flags: 'shared' });
    script.write(512, 1, 4);
    script.run({ ...map, at: 1536, flags: 'private' });
    script.read(1536);
    const pool = script.kernel.hugetlb.of(9);
    const before = [pool.reserved, pool.free.length];
    script.kernel.failAllocation = 1;
    script.run({ op: 'write', p: 0, at: 1536, n: 1, v: 5 });
    expect([pool.reserved, pool.free.length]).toEqual(before);
    expect(script.write(1536, 1, 6)).toMatchObject({ ret: 0 });
    expect([pool.reserved, pool.free.length]).toEqual([0, 0]);
    expect(script.read(1536)).toEqual([6]);
    checkInvariants(script.kernel);
  });

  it('gives the child of a fork a copy of a pinned page', () => {
    const script = writtenScript(2);
    script.run({ op: 'pin', p: 0, at: 512, n: 4, id: 1 });
    const page = script.page(512);
    expect(page?.k === 'page' && page.folioState).toMatchObject({ refs: 2, pincount: 1 });
    script.fork(0, 1);
    expect(script.page(512, 0)).toMatchObject({ w: 1, ae: 1, kc: 1 });
    expect(script.page(512, 1)).toMatchObject({ w: 1, ae: 1, kc: 1 });
    expect(script.read(512, 1, 1)).toEqual([1]);
    checkInvariants(script.kernel);
  });

  it('fails a fork that cannot copy a pinned page', () => {
    const script = writtenScript(1);
    script.run({ op: 'pin', p: 0, at: 512, n: 1, id: 1 });
    expect(script.answer({ op: 'fork', p: 0, c: 1 })).toBe('ENOMEM');
    expect(script.page(512)).toMatchObject({ w: 1, ae: 1, kc: 1 });
    checkInvariants(script.kernel);
  });

  it('writes by force to a read-only page in place: dirty, not writable', () => {
    const script = writtenScript(2);
    script.run({ op: 'mprotect', p: 0, at: 512, n: 512, prot: 'r' });
    expect(script.answer({ op: 'mem_write', p: 0, at: 512, n: 1, v: 6 })).toBe(0);
    expect(script.page(512)).toMatchObject({ w: 0, d: 1, ae: 1 });
    const page = script.page(512);
    expect(page?.k === 'page' && page.folioState?.flags).toContain('dirty');
  });
});

describe('other calls on huge pages', () => {
  it('mprotect takes write permission and does not give it back', () => {
    const script = writtenScript(2);
    script.run({ op: 'mprotect', p: 0, at: 512, n: 512, prot: 'n' });
    expect(script.page(512)).toMatchObject({ w: 0, none: 1 });
    script.run({ op: 'mprotect', p: 0, at: 512, n: 512, prot: 'rw' });
    expect(script.page(512)).toMatchObject({ w: 0, ae: 1 });
    expect(script.page(512)).not.toHaveProperty('none');
    expect(script.write(512, 1, 2).flt).toBe(1);
  });

  it('mremap moves the entry and the promise', () => {
    const script = writtenScript(1);
    const pfn = script.pfn(512);
    const move = { op: 'mremap', p: 0, at: 512, n: 512, new: 512, to: 2048 } as const;
    expect(script.answer({ ...move, flags: 'fixed' })).toBe(2048);
    expect(script.pfn(2048)).toBe(pfn);
    script.run({ op: 'madvise', p: 0, at: 2048, n: 512, advice: 'dontneed' });
    expect(script.read(2048)).toEqual([0]);
    checkInvariants(script.kernel);
  });

  it.each([
    ['munmap', { op: 'munmap', p: 0, at: 512, n: 100 }],
    ['mprotect', { op: 'mprotect', p: 0, at: 600, n: 512, prot: 'r' }],
    ['free', { op: 'madvise', p: 0, at: 512, n: 512, advice: 'free' }],
    ['cold', { op: 'madvise', p: 0, at: 512, n: 512, advice: 'cold' }],
    ['collapse', { op: 'madvise', p: 0, at: 512, n: 512, advice: 'collapse' }],
  ] as const)('%s of it is refused', (_what, operation) => {
    const script = writtenScript(1);
    expect(script.answer(operation)).toBe('EINVAL');
    expect(script.read(512)).toEqual([1]);
  });
});
