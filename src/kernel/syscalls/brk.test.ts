import { describe, expect, it } from 'vitest';
import { VmScript } from '../../../test/support/vm_script.js';
import { vmaProblems } from '../../../test/support/vma_oracle.js';

function heap(): VmScript {
  const script = new VmScript();
  script.run({ op: 'brk_at', p: 0, at: 0 });
  return script;
}

function brk(script: VmScript, at: number, p = 0): number | string {
  return script.run({ op: 'brk', p, at });
}

describe('brk (spec 97 §1.6)', () => {
  it('grows and shrinks one VMA', () => {
    const script = heap();
    expect(brk(script, 4)).toBe(4);
    expect(script.flags(0)).toBe('rd wr mr mw me ac');
    expect(brk(script, 8)).toBe(8);
    expect(script.ranges()).toBe('0-8');
    expect(brk(script, 2)).toBe(2);
    expect(script.ranges()).toBe('0-2');
    expect(brk(script, -1)).toBe(2);
    expect(brk(script, 2)).toBe(2);
    expect(brk(script, 0)).toBe(0);
    expect(script.ranges()).toBe('');
  });

  it('leaves one page free before what is mapped above', () => {
    const script = heap();
    script.map(10, 2);
    expect(brk(script, 10)).toBe(0);
    expect(brk(script, 9)).toBe(9);
    expect(brk(script, 20)).toBe(9);
  });

  it('leaves 257 pages before a stack', () => {
    const script = heap();
    script.map(300, 2, 'rw', 'growsdown');
    expect(brk(script, 44)).toBe(0);
    expect(brk(script, 43)).toBe(43);
  });

  it('does not mind a hole or another protection in the heap', () => {
    const script = heap();
    brk(script, 8);
    script.unmap(2, 2);
    script.protect(6, 2, 'r');
    expect(brk(script, 10)).toBe(10);
    expect(script.ranges()).toBe('0-2 4-6 6-8 8-10');
    expect(brk(script, 3)).toBe(3);
    expect(script.ranges()).toBe('0-2');
  });

  it('is inherited, but the child’s growth is a VMA of its own', () => {
    const script = heap();
    brk(script, 4);
    script.write(0, 4);
    script.fork(0, 1);
    expect(brk(script, 6, 1)).toBe(6);
    expect(script.ranges(1)).toBe('0-4 4-6');
    expect(brk(script, 6, 0)).toBe(6);
    expect(script.ranges(0)).toBe('0-6');
    expect(vmaProblems(script.kernel)).toEqual([]);
  });

  it('locks and fills the new part after mlockall(MCL_FUTURE)', () => {
    const script = heap();
    script.run({ op: 'mlockall', p: 0, flags: 'future' });
    brk(script, 4);
    expect(script.flags(0)).toContain('lo');
    expect(script.chain(0)).toEqual([1]);
  });
});
