import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';
import { runToEnd } from '../op/prims.js';
import { khugepagedScan } from './khugepaged.js';

/** A file of small pages, `n` of them written through a mapping at page 512. */
function smallFile(n: number, flags: 'shared' | 'private' = 'shared'): MachineScript {
  const script = new MachineScript();
  script.run({ op: 'file', id: 'f', n: 512, kind: 'memfd' });
  const map = { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw', flags } as const;
  script.run({ ...map, file: 'f', off: 0 });
  script.write(512, n, 3);
  return script;
}

function collapse(script: MachineScript): number | string {
  return script.answer({ op: 'madvise', p: 0, at: 512, n: 512, advice: 'collapse' });
}

describe('MADV_COLLAPSE of shmem (spec 98 §5.3)', () => {
  it('replaces small pages and holes by one folio and maps it', () => {
    const script = smallFile(10);
    expect(collapse(script)).toBe(0);
    const page = script.page(512);
    expect(page).toMatchObject({ level: 'pmd', w: 1, d: 0, file: 1 });
    expect(page?.k === 'page' && page.folioState).toMatchObject({
      order: 9,
      refs: 513,
      flags: ['uptodate', 'dirty', 'lru', 'swapbacked'],
    });
    expect(script.read(521, 2)).toEqual([3, 0]);
    expect(script.kernel.stats.shmemPmdMapped).toBe(512);
    checkInvariants(script.kernel);
  });

  it('drops the mappings of others, who get a PMD at their next fault', () => {
    const script = smallFile(512);
    script.fork(0, 1);
    script.read(512, 20, 1);
    expect(collapse(script)).toBe(0);
    expect(script.page(512, 1)).toBeUndefined();
    expect(script.read(512, 1, 1)).toEqual([3]);
    expect(script.page(512, 1)).toMatchObject({ level: 'pmd', kc: 2 });
    checkInvariants(script.kernel);
  });

  it('takes pages out of a locked mapping of another process', () => {
    const script = smallFile(10);
    script.fork(0, 1);
    const map = { op: 'mmap', p: 1, at: 512, n: 64, prot: 'rw', flags: 'shared|fixed' } as const;
    script.run({ ...map, file: 'f', off: 0 });
    script.run({ op: 'mlock', p: 1, at: 512, n: 64 });
    expect(collapse(script)).toBe(0);
    expect(script.page(512)).toMatchObject({ level: 'pmd' });
    expect(script.page(512, 1)).toBeUndefined();
    checkInvariants(script.kernel);
  });

  it('answers EAGAIN for a page with another reference', () => {
    const script = smallFile(10);
    script.run({ op: 'pin', p: 0, at: 512, n: 1, id: 1 });
    expect(collapse(script)).toBe('EAGAIN');
    expect(script.page(513)).toMatchObject({ level: 'pte', w: 1 });
    checkInvariants(script.kernel);
  });

  it('refuses a private mapping that has own pages', () => {
    const script = smallFile(4, 'private');
    script.run({ op: 'filewrite', file: 'f', at: 0, n: 512, v: 1 });
    expect(collapse(script)).toBe('EINVAL');
    expect(script.read(512, 5)).toEqual([3, 3, 3, 3, 1]);
    checkInvariants(script.kernel);
  });

  it('maps a folio that is whole already but mapped by PTEs', () => {
    const script = smallFile(1);
    collapse(script);
    script.run({ op: 'mprotect', p: 0, at: 600, n: 1, prot: 'r' });
    script.run({ op: 'mprotect', p: 0, at: 600, n: 1, prot: 'rw' });
    script.read(512, 40);
    expect(script.page(512)).toMatchObject({ level: 'pmd' });
    script.run({ op: 'madvise', p: 0, at: 600, n: 1, advice: 'dontneed' });
    script.write(512, 1, 3);
    expect(collapse(script)).toBe(0);
    expect(script.page(512)).toMatchObject({ level: 'pmd', kc: 1, pmc: 0 });
    checkInvariants(script.kernel);
  });

  it('khugepaged frees the table only: the next fault maps the block', () => {
    const script = smallFile(512);
    script.run({ op: 'config', key: 'shmem_thp', value: 'always' });
    const mm = script.kernel.processes.get(0)?.mm;
    if (mm === undefined) throw new Error('no process 0');
    expect(runToEnd(khugepagedScan(script.kernel, mm))).toBe(1);
    expect(script.page(512)).toBeUndefined();
    script.read(512);
    expect(script.page(512)).toMatchObject({ level: 'pmd' });
  });
});
