import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';

// @covers folio_add_new_anon_rmap, folio_move_anon_rmap, PageAnonExclusive

/** A block of 2 MiB at page 512 with THP on, written once. */
function hugeScript(): MachineScript {
  const script = new MachineScript();
  script.run({ op: 'config', key: 'thp', value: 'always' });
  script.map(512, 512);
  script.write(512, 1, 1);
  return script;
}

function level(script: MachineScript, at: number, p = 0): string {
  const page = script.page(at, p);
  return page?.k === 'page' ? page.level : (page?.k ?? 'none');
}

describe('fault at an empty PMD (spec 98 §3)', () => {
  it('maps one folio of 2 MiB, exclusive at its head, queued for the shrinker', () => {
    const script = hugeScript();
    const page = script.page(512);
    expect(page).toMatchObject({ level: 'pmd', w: 1, d: 1, ae: 1, kc: 1, pmc: 0 });
    expect(page?.k === 'page' && page.folioState).toMatchObject({
      order: 9,
      refs: 1,
      mapcount: 1,
      entire: 1,
      nr_pages_mapped: 0x80_0000,
      deferred: 1,
    });
    expect(script.page(513)).toMatchObject({ sub: 1, ae: 0 });
    checkInvariants(script.kernel);
  });

  it('does not queue it while shrink_underused is off', () => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'thp', value: 'always' });
    script.run({ op: 'config', key: 'shrink_underused', value: 0 });
    script.map(512, 512);
    script.write(512, 1, 1);
    const page = script.page(512);
    expect(page?.k === 'page' && page.folioState?.deferred).toBe(0);
  });

  it('maps the huge zero page for a read and creates the anon_vma', () => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'thp', value: 'always' });
    script.map(512, 512);
    expect(script.read(700)).toEqual([0]);
    expect(script.page(512)).toMatchObject({ level: 'pmd', w: 0, d: 0, x: 0, file: 1 });
    expect(script.kind(512)).toBe('zero');
    expect(script.state().procs[0].vmas[0].av).toBe('A0');
  });

  it('allocates for a read too when the huge zero page is off', () => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'thp', value: 'always' });
    script.run({ op: 'config', key: 'zero_thp', value: 0 });
    script.map(512, 512);
    script.read(512);
    expect(script.page(512)).toMatchObject({ level: 'pmd', w: 1, d: 1 });
  });

  it.each([
    ['a block cut by the VMA', 513, 511],
    ['a block whose end is missing', 512, 511],
  ])('uses small pages for %s', (_what, at, n) => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'thp', value: 'always' });
    script.map(at, n);
    script.write(600, 1, 1);
    expect(level(script, 600)).toBe('pte');
    expect(script.page(601)).toBeUndefined();
  });

  it('uses small pages once a PTE table is there', () => {
    const script = new MachineScript();
    script.map(512, 512);
    script.read(512);
    script.run({ op: 'config', key: 'thp', value: 'always' });
    script.write(600, 1, 1);
    expect(level(script, 600)).toBe('pte');
  });

  it('falls back to a small page when there is no free block', () => {
    const script = new MachineScript({ memoryPages: 600 });
    script.run({ op: 'config', key: 'thp', value: 'always' });
    script.map(0, 64);
    script.write(0, 64, 1);
    script.run({ op: 'munmap', p: 0, at: 0, n: 63 });
    script.map(512, 1024);
    script.write(512, 1, 1);
    script.write(1024, 1, 1);
    expect([level(script, 512), level(script, 1024)]).toContain('pte');
  });
});

describe('write to a PMD that is not writable (spec 30 §2.4)', () => {
  it('replaces the huge zero page by a folio, even without permission for huge pages now', () => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'thp', value: 'always' });
    script.map(512, 512);
    script.read(512);
    script.run({ op: 'madvise', p: 0, at: 512, n: 512, advice: 'nohugepage' });
    expect(script.write(600, 1, 5).flt).toBe(1);
    expect(script.page(600)).toMatchObject({ level: 'pmd', w: 1, d: 1 });
    expect(script.read(599, 2)).toEqual([0, 5]);
  });

  it('splits a shared mapping in the writer and copies one page', () => {
    const script = hugeScript();
    script.write(512, 512, 3);
    script.fork(0, 1);
    expect(script.bits(512, 0)).toBe('-d-');
    script.write(700, 1, 9, 1);
    expect(level(script, 700, 0)).toBe('pmd');
    expect(level(script, 699, 1)).toBe('pte');
    expect(script.page(700, 1)?.k === 'page' && script.page(700, 1)).toMatchObject({
      w: 1,
      ae: 1,
      folioState: { order: 0 },
    });
    expect(script.read(699, 2, 0)).toEqual([3, 3]);
    expect(script.read(699, 2, 1)).toEqual([3, 9]);
    checkInvariants(script.kernel);
  });

  it('lets the last mapper reuse the folio and moves it to the anon_vma of that mm', () => {
    const script = hugeScript();
    script.fork(0, 1);
    script.run({ op: 'exit', p: 0 });
    script.run({ op: 'write', p: 1, at: 512, n: 1, v: 2 });
    const page = script.page(512, 1);
    expect(page).toMatchObject({ level: 'pmd', w: 1, ae: 1 });
    expect(page?.k === 'page' && page.folioState?.av).toBe(script.state().procs[1].vmas[0].av);
  });

  it('copies although alone when a pipe holds a page', () => {
    const script = hugeScript();
    script.fork(0, 1);
    script.run({ op: 'vmsplice', p: 1, at: 512, n: 1, id: 1 });
    script.run({ op: 'munmap', p: 1, at: 512, n: 512 });
    script.write(512, 1, 2);
    expect(level(script, 512)).toBe('pte');
    expect(script.page(512)?.k === 'page' && script.page(512)).toMatchObject({
      folioState: { order: 0 },
    });
  });
});
