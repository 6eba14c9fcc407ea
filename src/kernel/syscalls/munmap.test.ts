import { describe, expect, it } from 'vitest';
import { VmScript } from '../../../test/support/vm_script.js';
import { vmaProblems } from '../../../test/support/vma_oracle.js';

describe('munmap (spec 97 §1.3)', () => {
  it('refuses length 0 and accepts empty space', () => {
    const script = new VmScript();
    script.map(4, 4);
    expect(script.unmap(4, 0)).toBe('EINVAL');
    expect(script.unmap(0, 4)).toBe(0);
    expect(script.unmap(8, 100)).toBe(0);
    expect(script.ranges()).toBe('4-8');
  });

  it('cuts ends, middles and several VMAs with holes', () => {
    const script = new VmScript();
    script.map(0, 12);
    script.write(0, 12);
    script.unmap(5, 2);
    expect(script.ranges()).toBe('0-5 7-12');
    expect(script.counts(1)).toBe('1 1 2');
    script.map(20, 4);
    expect(script.unmap(4, 18)).toBe(0);
    expect(script.ranges()).toBe('0-4 22-24');
    expect(script.counts(1)).toBe('1 1 1');
    expect(vmaProblems(script.kernel)).toEqual([]);
  });

  it('frees pages, anon_vmas and page tables', () => {
    const script = new VmScript();
    const { memory, pageTables } = script.kernel;
    const before = [memory.freePages, pageTables.nodeCount];
    script.map(0, 1024);
    script.write(0, 1024);
    script.unmap(0, 1024);
    expect(script.living()).toEqual([]);
    expect([memory.freePages, pageTables.nodeCount]).toEqual(before);
  });

  it('keeps page tables that a neighbour uses', () => {
    const script = new VmScript();
    script.map(0, 8);
    script.write(0, 8);
    script.unmap(0, 4);
    expect(script.machine.apply({ op: 'read', p: 0, at: 4, n: 4 }).vals).toEqual([[1, 4]]);
  });

  it('unmaps nothing when a split fails', () => {
    const script = new VmScript();
    script.map(0, 8);
    script.write(0, 8);
    script.kernel.failAllocation = 1;
    expect(script.unmap(2, 2)).toBe('ENOMEM');
    expect(script.ranges()).toBe('0-8');
    script.kernel.failAllocation = 3;
    expect(script.unmap(2, 2)).toBe('ENOMEM');
    expect(script.machine.apply({ op: 'read', p: 0, at: 0, n: 8 }).vals).toEqual([[1, 8]]);
    expect(vmaProblems(script.kernel)).toEqual([]);
  });
});
