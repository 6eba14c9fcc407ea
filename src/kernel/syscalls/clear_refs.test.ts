import { describe, expect, it } from 'vitest';
import { MachineScript } from '../../../test/support/machine_script.js';
import { PTE_SOFT_DIRTY } from '../pgtable/pte.js';
import type { Operation } from '../operation.js';

// @covers clear_refs_write, clear_refs_pte_range, pte_needs_soft_dirty_wp, process_madvise

const CLEAR: Operation = { op: 'clear_refs', p: 0, what: 'soft_dirty' };

function isSoftDirty(script: MachineScript, at: number, p = 0): boolean {
  const { kernel, machine } = script;
  const mm = kernel.processes.get(p)?.mm;
  if (mm === undefined) return false;
  const entry = kernel.pageTables.findPte(mm.pgd, at + machine.regionStart);
  return entry >= 0 && (kernel.pageTables.flags[entry] & PTE_SOFT_DIRTY) !== 0;
}

describe('soft-dirty bits', () => {
  function tracked(): MachineScript {
    const script = new MachineScript({ softDirty: true });
    script.map(0, 8);
    script.write(0, 4, 1);
    script.run(CLEAR);
    return script;
  }

  it('are set by writes since the last clearing only', () => {
    const script = tracked();
    expect([0, 1].map((at) => isSoftDirty(script, at))).toEqual([false, false]);
    expect([script.bits(0), script.flags(0).includes('sd')]).toEqual(['-de', false]);
    script.write(1, 1, 2);
    script.read(2);
    expect([0, 1, 2].map((at) => isSoftDirty(script, at))).toEqual([false, true, false]);
    script.write(5, 1, 2);
    expect(isSoftDirty(script, 5)).toBe(true);
  });

  it('are not bypassed by mprotect', () => {
    const script = tracked();
    script.run({ op: 'mprotect', p: 0, at: 0, n: 4, prot: 'r' });
    script.run({ op: 'mprotect', p: 0, at: 0, n: 4, prot: 'rw' });
    expect(script.bits(0)).toBe('-de');
    script.write(0, 1, 3);
    expect([script.bits(0), isSoftDirty(script, 0)]).toEqual(['wde', true]);
  });

  it('are inherited by fork and set by mremap', () => {
    const script = tracked();
    script.write(1, 1, 2);
    script.fork(0, 1);
    expect([0, 1].map((at) => isSoftDirty(script, at, 1))).toEqual([false, true]);
    script.run({ op: 'mremap', p: 0, at: 0, n: 1, new: 1, to: 64, flags: 'fixed' });
    expect(isSoftDirty(script, 64)).toBe(true);
  });

  it('stay on pinned pages, which are written without a fault', () => {
    const script = new MachineScript({ softDirty: true });
    script.map(0, 2);
    script.write(0, 2, 1);
    script.run({ op: 'pin', p: 0, at: 0, n: 1, id: 1 }, CLEAR);
    expect([0, 1].map((at) => isSoftDirty(script, at))).toEqual([true, false]);
    expect(script.bits(0)).toBe('wde');
  });

  it('do not exist in a kernel without them', () => {
    const script = new MachineScript();
    script.map(0, 1);
    script.write(0, 1, 1);
    script.run(CLEAR);
    expect([script.bits(0), isSoftDirty(script, 0)]).toEqual(['wde', false]);
  });
});

describe('accessed bits', () => {
  function young(script: MachineScript, at: number): number {
    const page = script.page(at);
    return page?.k === 'page' ? page.y : -1;
  }

  it('are cleared in the VMAs that are meant', () => {
    const script = new MachineScript();
    script.map(0, 1);
    script.mapShared(16, 1);
    script.write(0, 1, 1);
    script.write(16, 1, 1);
    script.run({ op: 'clear_refs', p: 0, what: 'anon' });
    expect([young(script, 0), young(script, 16)]).toEqual([0, 1]);
    script.run({ op: 'clear_refs', p: 0, what: 'mapped' });
    expect(young(script, 16)).toBe(0);
    script.read(0);
    expect(young(script, 0)).toBe(1);
    script.run({ op: 'clear_refs', p: 0, what: 'all' });
    expect(young(script, 0)).toBe(0);
    expect(script.bits(0)).toBe('wde');
  });
});

describe('process_madvise', () => {
  it('advises another process only what loses nothing', () => {
    const script = new MachineScript();
    script.map(0, 2);
    script.write(0, 2, 1);
    script.fork(0, 1);
    script.run({ op: 'exit', p: 0 }, { op: 'fork', p: 1, c: 0 });
    const advise = (advice: 'cold' | 'dontneed', p: number): Operation => {
      return { op: 'process_madvise', p, q: 1, at: 0, n: 2, advice };
    };
    expect(script.answer(advise('dontneed', 0))).toBe('EINVAL');
    expect(script.answer(advise('cold', 0))).toBe(2);
    expect(script.answer(advise('dontneed', 1))).toBe(2);
    expect([script.read(0, 1, 1), script.read(0, 1, 0)]).toEqual([[0], [1]]);
    expect(script.answer({ op: 'process_madvise', p: 0, q: 9, at: 0, n: 1, advice: 'cold' })).toBe(
      'ESRCH',
    );
  });
});
