import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';
import { EAGAIN, EBUSY, EINVAL } from '../errno.js';
import { runToEnd } from '../op/prims.js';
import { folioGet, folioPut } from '../phys/folio.js';
import { splitFolio } from './split.js';

// @covers try_to_migrate, remove_migration_ptes, folio_get_anon_vma, folio_try_share_anon_rmap_pmd

/** 2 MiB at page 512; page 600 is zero-filled if `hasZero`. */
function hugeScript(hasZero = false): MachineScript {
  const script = new MachineScript();
  script.run({ op: 'config', key: 'thp', value: 'always' });
  script.map(512, 512);
  script.write(512, 512, 1);
  if (hasZero) script.write(600, 1, 0);
  return script;
}

/** Splits with a reference of the caller's, which is dropped at the end. */
function split(script: MachineScript, head: number, kept = head): number {
  folioGet(script.kernel, head);
  const failed = runToEnd(splitFolio(script.kernel, head, kept));
  folioPut(script.kernel, failed === 0 ? kept : head);
  return failed;
}

describe('splitFolio (spec 98 §4.2)', () => {
  it('makes small folios with the index, owner, exclusiveness and dirtiness of their pages', () => {
    const script = hugeScript();
    const head = script.pfn(512);
    expect(split(script, head, head + 88)).toBe(0);
    for (const at of [512, 600, 1023]) {
      const page = script.page(at);
      expect(page).toMatchObject({ level: 'pte', w: 1, d: 1, ae: 1, kc: 1 });
      expect(page?.k === 'page' && page.folioState).toMatchObject({
        order: 0,
        av: 'A0',
        index: at,
        refs: 1,
        flags: ['uptodate', 'dirty', 'lru', 'swapbacked'],
      });
    }
    expect(script.kernel.deferredSplit.length).toBe(0);
    expect(script.kernel.mthp.nrAnon[9]).toBe(0);
    expect(script.kernel.stats).toMatchObject({ anonMapped: 512, anonThps: 0 });
    checkInvariants(script.kernel);
  });

  it('maps the zero page where a page is zero-filled (spec 98 §4.3)', () => {
    const script = hugeScript(true);
    const free = script.kernel.memory.freePages;
    expect(split(script, script.pfn(512))).toBe(0);
    expect(script.kind(600)).toBe('zero');
    expect(script.page(600)).toMatchObject({ w: 0, d: 0, y: 1 });
    expect(script.kernel.memory.freePages).toBe(free + 1);
    expect(script.kernel.processes.get(0)?.mm.rss[1]).toBe(511);
    checkInvariants(script.kernel);
  });

  it('keeps untouched pages where fresh memory is not known to be zero', () => {
    const script = new MachineScript();
    script.kernel.memory.blankWord = 1;
    script.run({ op: 'config', key: 'thp', value: 'always' });
    script.map(512, 1024);
    script.write(512, 1, 7);
    expect(split(script, script.pfn(512))).toBe(0);
    expect([script.kind(512), script.kind(600)]).toEqual(['anon', 'anon']);
    // The huge zero page is made of zeros all the same.
    expect(script.read(1024)).toEqual([0]);
    checkInvariants(script.kernel);
  });

  it('keeps zero-filled pages of a locked VMA', () => {
    const script = hugeScript(true);
    script.run({ op: 'mlock', p: 0, at: 512, n: 512 });
    expect(split(script, script.pfn(512))).toBe(0);
    expect(script.kind(600)).toBe('anon');
    const page = script.page(600);
    script.run({ op: 'drain' });
    expect(page?.k === 'page' && page.folioState?.flags).toContain('mlocked');
    checkInvariants(script.kernel);
  });

  it('splits for every mm that maps it', () => {
    const script = hugeScript(true);
    script.fork(0, 1);
    script.write(700, 1, 5, 1);
    const head = script.pfn(512);
    expect(split(script, head)).toBe(0);
    expect(script.page(512, 0)).toMatchObject({ level: 'pte', w: 0, ae: 0, kc: 2 });
    expect(script.pfn(512, 1)).toBe(head);
    expect([script.kind(600, 0), script.kind(600, 1)]).toEqual(['zero', 'zero']);
    expect(script.read(700, 1, 1)).toEqual([5]);
    checkInvariants(script.kernel);
  });

  it('frees the pages that nothing maps', () => {
    const script = hugeScript();
    script.run({ op: 'munmap', p: 0, at: 600, n: 100 });
    const free = script.kernel.memory.freePages;
    expect(split(script, script.pfn(512))).toBe(0);
    expect(script.kernel.memory.freePages).toBe(free + 100);
    expect(script.kernel.mthp.nrAnonPartiallyMapped[9]).toBe(0);
    checkInvariants(script.kernel);
  });

  it('refuses a folio with another reference and leaves its mapping alone', () => {
    const script = hugeScript();
    script.run({ op: 'pin', p: 0, at: 600, n: 1, id: 1 });
    expect(split(script, script.pfn(512))).toBe(-EAGAIN);
    expect(script.page(512)).toMatchObject({ level: 'pmd', w: 1, ae: 1 });
    checkInvariants(script.kernel);
  });

  it('refuses a small folio and the huge zero page', () => {
    const script = hugeScript();
    script.map(0, 1);
    script.write(0, 1, 1);
    expect(split(script, script.pfn(0))).toBe(-EINVAL);
    script.map(2048, 512);
    script.read(2048);
    expect(split(script, script.kernel.memory.hugeZeroPfn)).toBe(-EBUSY);
  });

  it('hands isolated parts to the caller, off the lists', () => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'mthp.16kB', value: 'always' });
    script.map(0, 4);
    script.write(0, 4, 1);
    const head = script.pfn(0);
    const { kernel } = script;
    kernel.lru.remove(head);
    folioGet(kernel, head);
    const parts: number[] = [];
    expect(runToEnd(splitFolio(kernel, head, head, parts))).toBe(0);
    expect(parts).toEqual([head + 1, head + 2, head + 3]);
    for (const page of [head, ...parts]) {
      expect(kernel.memory.refcount[page]).toBe(2);
      kernel.lru.add(page);
      folioPut(kernel, page);
    }
    checkInvariants(kernel);
  });

  it('lets faults bring back the pages of a shmem folio, and drops those behind the end', () => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'shmem_mthp.64kB', value: 'always' });
    script.run({ op: 'file', id: 'f', n: 10, kind: 'memfd' });
    const map = { op: 'mmap', p: 0, at: 0, n: 16, prot: 'rw', flags: 'shared' } as const;
    script.run({ ...map, file: 'f', off: 0 });
    script.write(3, 1, 7);
    const head = script.pfn(0);
    expect(split(script, head)).toBe(0);
    expect(script.page(3)).toBeUndefined();
    expect(script.machine.file('f').pages.size).toBe(10);
    expect(script.read(2, 2)).toEqual([0, 7]);
    const page = script.page(3);
    expect(page?.k === 'page' && page.folioState).toMatchObject({ order: 0, refs: 2 });
    checkInvariants(script.kernel);
  });
});

describe('the boundary of a VMA in a block', () => {
  it('splits the mapping and not the folio', () => {
    const script = hugeScript();
    script.run({ op: 'mprotect', p: 0, at: 600, n: 1, prot: 'r' });
    const page = script.page(512);
    expect(page).toMatchObject({ level: 'pte', w: 1, ae: 1 });
    expect(page?.k === 'page' && page.folioState).toMatchObject({ order: 9, mapcount: 512 });
    checkInvariants(script.kernel);
  });
});
