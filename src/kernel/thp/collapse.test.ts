import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { checkInvariants } from '../invariants/index.js';

// @covers folio_add_new_anon_rmap, folio_remove_rmap_pte, folio_expected_ref_count

function smallPages(n: number): MachineScript {
  const script = new MachineScript();
  script.map(512, 512);
  script.write(512, n, 7);
  return script;
}

function collapse(script: MachineScript, at = 512, n = 512, p = 0): number | string {
  return script.answer({ op: 'madvise', p, at, n, advice: 'collapse' });
}

describe('MADV_COLLAPSE of anonymous memory (spec 98 §5.3)', () => {
  it('copies what is there into one folio, holes as zeros', () => {
    const script = smallPages(20);
    script.read(540);
    const free = script.kernel.memory.freePages;
    expect(collapse(script)).toBe(0);
    expect(script.page(512)).toMatchObject({ level: 'pmd', w: 1, d: 1, ae: 1, kc: 1 });
    const page = script.page(512);
    expect(page?.k === 'page' && page.folioState).toMatchObject({
      order: 9,
      refs: 1,
      deferred: 1,
      flags: ['uptodate', 'lru', 'swapbacked'],
    });
    expect(script.read(531, 2)).toEqual([7, 0]);
    expect(script.kernel.processes.get(0)?.mm.rss[1]).toBe(512);
    expect(script.kernel.memory.freePages).toBe(free - 512 + 20);
    expect(script.kernel.stats.anonThps).toBe(512);
    checkInvariants(script.kernel);
  });

  it('leaves shared pages to the other process', () => {
    const script = smallPages(512);
    script.fork(0, 1);
    expect(collapse(script)).toBe(0);
    script.write(512, 1, 9);
    expect(script.read(512, 1, 1)).toEqual([7]);
    expect(script.page(512, 1)).toMatchObject({ level: 'pte', kc: 1, ae: 0 });
    checkInvariants(script.kernel);
  });

  it('gathers a folio that is mapped by PTEs', () => {
    const script = new MachineScript();
    script.run({ op: 'config', key: 'thp', value: 'always' });
    script.map(512, 512);
    script.write(512, 512, 3);
    script.run({ op: 'mprotect', p: 0, at: 600, n: 1, prot: 'r' });
    script.run({ op: 'mprotect', p: 0, at: 600, n: 1, prot: 'rw' });
    expect(script.page(512)).toMatchObject({ level: 'pte' });
    expect(collapse(script)).toBe(0);
    expect(script.page(512)).toMatchObject({ level: 'pmd' });
    expect(script.kernel.mthp.nrAnon[9]).toBe(1);
    checkInvariants(script.kernel);
  });

  it('leaves a block alone that a PMD maps already', () => {
    const script = smallPages(512);
    collapse(script);
    script.fork(0, 1);
    expect(collapse(script)).toBe(0);
    expect(script.page(512)).toMatchObject({ level: 'pmd', kc: 2 });
  });

  it('keeps a read-only or locked VMA what it is', () => {
    const script = smallPages(4);
    script.run({ op: 'mlock', p: 0, at: 512, n: 512 });
    script.run({ op: 'mprotect', p: 0, at: 512, n: 512, prot: 'r' });
    expect(collapse(script)).toBe(0);
    const page = script.page(512);
    expect(page).toMatchObject({ level: 'pmd', w: 0, d: 1, ae: 1 });
    expect(page?.k === 'page' && page.folioState?.flags).toEqual(
      expect.arrayContaining(['unevictable', 'mlocked']),
    );
  });

  it.each([
    ['never written', (s: MachineScript) => s.map(2048, 512), 2048, 512],
    ['without a PTE table', (s: MachineScript) => s.map(1024, 512), 512, 1024],
    ['not inside one VMA', (s: MachineScript) => protectPart(s), 512, 512],
    ['without a whole block', (_s: MachineScript) => undefined, 600, 300],
    ['of nohugepage', (s: MachineScript) => advise(s, 'nohugepage'), 512, 512],
    ['with a guard', (s: MachineScript) => guard(s), 512, 512],
  ])('refuses memory %s', (_what, prepare, at, n) => {
    const script = smallPages(40);
    prepare(script);
    expect(collapse(script, at, n)).toBe('EINVAL');
    checkInvariants(script.kernel);
  });

  it('answers EAGAIN for a page with another reference, and changes nothing', () => {
    const script = smallPages(40);
    script.run({ op: 'pin', p: 0, at: 520, n: 1, id: 1 });
    expect(collapse(script)).toBe('EAGAIN');
    expect(script.page(512)).toMatchObject({ level: 'pte', w: 1, ae: 1 });
    script.run({ op: 'unpin', p: 0, id: 1 });
    expect(collapse(script)).toBe(0);
  });

  it('works on all blocks and returns the error of the last that failed', () => {
    const script = smallPages(512);
    script.map(1024, 1024);
    script.write(1024, 1024, 1);
    script.run({ op: 'pin', p: 0, at: 1030, n: 1, id: 1 });
    expect(collapse(script, 512, 1536)).toBe('EAGAIN');
    expect(script.page(512)).toMatchObject({ level: 'pmd' });
    expect(script.page(1024)).toMatchObject({ level: 'pte' });
    expect(script.page(1536)).toMatchObject({ level: 'pmd' });
  });

  it('answers ENOMEM behind a hole', () => {
    const script = smallPages(8);
    expect(collapse(script, 512, 1024)).toBe('ENOMEM');
    expect(script.page(512)).toMatchObject({ level: 'pmd' });
  });

  it('answers ENOMEM when there is no free block', () => {
    const script = new MachineScript({ memoryPages: 520 });
    script.map(512, 512);
    script.write(512, 20, 1);
    expect(collapse(script)).toBe('ENOMEM');
  });
});

function protectPart(script: MachineScript): void {
  script.run({ op: 'mprotect', p: 0, at: 512, n: 100, prot: 'r' });
}

function advise(script: MachineScript, advice: 'nohugepage'): void {
  script.run({ op: 'madvise', p: 0, at: 512, n: 512, advice });
}

function guard(script: MachineScript): void {
  script.run({ op: 'madvise', p: 0, at: 700, n: 1, advice: 'guard_install' });
}
