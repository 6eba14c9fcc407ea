import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';

// @covers folio_try_dup_anon_rmap_pmd, folio_needs_cow_for_dma

function hugeScript(): MachineScript {
  const script = new MachineScript();
  script.run({ op: 'config', key: 'thp', value: 'always' });
  script.map(512, 512);
  script.write(512, 512, 1);
  return script;
}

describe('fork of a huge PMD (spec 30 §1.5)', () => {
  it('shares the folio, read-only on both sides, the child not young', () => {
    const script = hugeScript();
    script.fork(0, 1);
    expect(script.page(512, 0)).toMatchObject({ level: 'pmd', w: 0, d: 1, y: 1, ae: 0, kc: 2 });
    expect(script.page(512, 1)).toMatchObject({ level: 'pmd', w: 0, d: 1, y: 0, ae: 0, kc: 2 });
    const page = script.page(512, 0);
    expect(page?.k === 'page' && page.folioState).toMatchObject({
      refs: 2,
      mapcount: 2,
      entire: 2,
      mm: [
        { p: 0, mapcount: 1 },
        { p: 1, mapcount: 1 },
      ],
      maybe_shared: 1,
    });
    expect(script.kernel.processes.get(1)?.mm.rss[1]).toBe(512);
    checkInvariants(script.kernel);
  });

  it('copies the huge zero page as an entry', () => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'thp', value: 'always' });
    script.map(512, 512);
    script.read(512);
    script.fork(0, 1);
    expect(script.page(512, 1)).toMatchObject({ level: 'pmd', w: 0, y: 0 });
    expect(script.kind(512, 1)).toBe('zero');
    expect(script.kernel.processes.get(1)?.mm.rss[1]).toBe(0);
  });

  it('gives the child small copies of all pages of a pinned folio', () => {
    const script = hugeScript();
    script.run({ op: 'pin', p: 0, at: 600, n: 1, id: 1 });
    script.fork(0, 1);
    expect(script.page(512, 0)).toMatchObject({ level: 'pte', w: 1, ae: 1, kc: 1 });
    const copy = script.page(700, 1);
    expect(copy).toMatchObject({ level: 'pte', w: 1, ae: 1, kc: 1 });
    expect(copy?.k === 'page' && copy.folioState?.order).toBe(0);
    script.write(700, 1, 5);
    expect(script.read(700, 1, 1)).toEqual([1]);
    checkInvariants(script.kernel);
  });

  it('leaves file blocks to faults of the child', () => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'shmem_thp', value: 'always' });
    script.run({ op: 'file', id: 'f', n: 512, kind: 'memfd' });
    script.run({
      op: 'mmap',
      p: 0,
      at: 512,
      n: 512,
      prot: 'rw',
      flags: 'private',
      file: 'f',
      off: 0,
    });
    script.read(512);
    script.run({ op: 'madvise', p: 0, at: 512, n: 512, advice: 'guard_remove' });
    expect(script.page(512)).toMatchObject({ level: 'pmd', file: 1 });
    script.fork(0, 1);
    expect(script.page(512, 1)).toBeUndefined();
  });
});
