import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';

// @covers folio_remove_rmap_pmd

function hugeScript(): MachineScript {
  const script = new MachineScript();
  script.run({ op: 'config', key: 'thp', value: 'always' });
  script.map(512, 512);
  script.write(512, 512, 1);
  return script;
}

function shmemScript(): MachineScript {
  const script = new MachineScript();
  script.run({ op: 'config', key: 'shmem_thp', value: 'always' });
  script.run({ op: 'file', id: 'f', n: 512, kind: 'memfd' });
  const map = { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw', flags: 'shared' } as const;
  script.run({ ...map, file: 'f', off: 0 });
  return script;
}

function cachedFlags(script: MachineScript): readonly string[] {
  const page = script.page(512);
  return page?.k === 'page' ? (page.folioState?.flags ?? []) : [];
}

describe('zap of a huge PMD (spec 98 §4.1)', () => {
  it('frees the folio with the whole block', () => {
    const script = hugeScript();
    const free = script.kernel.memory.freePages;
    script.run({ op: 'madvise', p: 0, at: 512, n: 512, advice: 'dontneed' });
    expect(script.page(512)).toBeUndefined();
    expect(script.kernel.memory.freePages).toBe(free + 512);
    expect(script.kernel.deferredSplit.length).toBe(0);
    expect(script.kernel.processes.get(0)?.mm.rss[1]).toBe(0);
    // Without a PTE table the next fault maps a huge page again.
    script.write(600, 1, 2);
    expect(script.page(600)).toMatchObject({ level: 'pmd' });
    checkInvariants(script.kernel);
  });

  it('splits for a part, then drops its pages: the folio is partially mapped', () => {
    const script = hugeScript();
    script.run({ op: 'munmap', p: 0, at: 600, n: 8 });
    expect(script.page(600)).toBeUndefined();
    const page = script.page(512);
    expect(page).toMatchObject({ level: 'pte', w: 1, d: 1, ae: 1 });
    expect(page?.k === 'page' && page.folioState).toMatchObject({
      refs: 504,
      mapcount: 504,
      entire: 0,
      flags2: ['large_rmappable', 'partially_mapped'],
      deferred: 1,
    });
    checkInvariants(script.kernel);
  });

  it('turns the rest of a huge zero page into small zero entries', () => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'thp', value: 'always' });
    script.map(512, 512);
    script.read(512);
    script.run({ op: 'munmap', p: 0, at: 1023, n: 1 });
    expect(script.kind(512)).toBe('zero');
    expect(script.page(512)).toMatchObject({ level: 'pte', w: 0, d: 0 });
    script.run({ op: 'munmap', p: 0, at: 512, n: 511 });
    expect(script.state().procs[0].vmas).toEqual([]);
  });

  it('drops the whole mapping of a shmem folio for a part and keeps the pages', () => {
    const script = shmemScript();
    script.write(512, 512, 4);
    script.run({ op: 'munmap', p: 0, at: 600, n: 8 });
    expect(script.page(512)).toBeUndefined();
    expect(script.read(512, 2)).toEqual([4, 4]);
    expect(script.page(512)).toMatchObject({ level: 'pte', sub: 0 });
  });

  it('counts the zap of a young file entry as a touch, and the second activates', () => {
    const script = shmemScript();
    for (const expected of [['referenced'], ['active']]) {
      script.write(512, 1, 1);
      script.run({ op: 'madvise', p: 0, at: 512, n: 512, advice: 'dontneed' });
      script.read(512);
      expect(cachedFlags(script)).toEqual(expect.arrayContaining(expected));
    }
  });

  it('tells a tracer about every page', () => {
    const script = hugeScript();
    const zapped: number[] = [];
    script.kernel.tracer = {
      pageZapped: (_mm, vpn, _pfn, before) => zapped.push(vpn * 8 + before),
    };
    script.run({ op: 'munmap', p: 0, at: 512, n: 512 });
    const { regionStart } = script.machine;
    expect(zapped).toHaveLength(512);
    expect(zapped[511]).toBe((regionStart + 1023) * 8 + 1);
  });
});
