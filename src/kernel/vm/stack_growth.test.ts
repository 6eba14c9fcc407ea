import { describe, expect, it } from 'vitest';
import { REGION_START, VmScript } from '../../../test/support/vm_script.js';
import { vmaProblems } from '../../../test/support/vma_oracle.js';

function stackAt(at: number, n: number, prot: 'rw' | 'r' = 'rw'): VmScript {
  const script = new VmScript();
  script.map(at, n, prot, 'growsdown');
  return script;
}

function read(script: VmScript, at: number): unknown {
  return script.machine.apply({ op: 'read', p: 0, at, n: 1 }).vals?.[0]?.[0];
}

describe('growth of a stack (spec 97 §6.4)', () => {
  it('reaches any page at once, by a read too, and prepares the anon_vma', () => {
    const script = stackAt(3000, 4);
    expect(read(script, 2000)).toBe(0);
    expect(script.ranges()).toBe('2000-3004');
    expect(script.vma(2000).pgoff).toBe(REGION_START + 2000);
    expect(script.chain(2000)).toEqual([1]);
    expect(vmaProblems(script.kernel)).toEqual([]);
  });

  it('ends at 8 MiB', () => {
    const script = stackAt(3000, 4);
    expect(read(script, 3004 - 2049)).toBe('SEGV');
    expect(script.ranges()).toBe('3000-3004');
    expect(read(script, 3004 - 2048)).toBe(0);
  });

  it('keeps 256 pages away from what can be accessed below', () => {
    const script = stackAt(3000, 4);
    script.map(2000, 4);
    expect(read(script, 2004 + 255)).toBe('SEGV');
    expect(read(script, 2004 + 256)).toBe(0);
  });

  it('but not from PROT_NONE or another stack', () => {
    const none = stackAt(3000, 4);
    none.map(2000, 4, 'n');
    expect(read(none, 2004)).toBe(0);
    const stack = stackAt(3000, 4);
    stack.map(2000, 4, 'rw', 'growsdown');
    expect(read(stack, 2004)).toBe(0);
    // Growing never merges.
    expect(stack.ranges()).toBe('2000-2004 2004-3004');
    expect(vmaProblems(stack.kernel)).toEqual([]);
  });

  it('comes before the check of the permission', () => {
    const script = stackAt(3000, 4, 'r');
    expect(script.machine.apply({ op: 'write', p: 0, at: 2990, n: 1, v: 1 }).vals).toEqual([
      ['SEGV', 1],
    ]);
    expect(script.ranges()).toBe('2990-3004');
  });

  it('puts a forked stack behind equal keys of its anon_vma’s tree', () => {
    const script = stackAt(3000, 4);
    script.write(3000);
    script.fork(0, 1);
    script.fork(0, 2);
    script.write(2999, 1, 1);
    script.write(2999, 1, 0);
    expect(script.walk(1)).toBe('1:2999 0:2999 2:3000');
    expect(vmaProblems(script.kernel)).toEqual([]);
  });

  it('fails without memory for the anon_vma', () => {
    const script = stackAt(3000, 4);
    script.kernel.failAllocation = 1;
    expect(read(script, 2990)).toBe('SEGV');
    expect(script.ranges()).toBe('3000-3004');
  });
});
