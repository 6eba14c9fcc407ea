import { describe, expect, it } from 'vitest';
import { VmScript } from '../../../test/support/vm_script.js';
import { vmaProblems } from '../../../test/support/vma_oracle.js';

function lock(script: VmScript, at: number, n: number, onfault = 0): number | string {
  return script.run({ op: 'mlock', p: 0, at, n, onfault });
}

describe('mlock (spec 97 §1.3, §2, §9)', () => {
  it('accepts length 0 and needs every page mapped', () => {
    const script = new VmScript();
    expect(lock(script, 0, 0)).toBe(0);
    expect(lock(script, 0, 4)).toBe('ENOMEM');
    script.map(0, 4);
    script.map(5, 4);
    expect(lock(script, 0, 9)).toBe('ENOMEM');
    expect(script.flags(0)).toContain('lo');
    expect(script.flags(5)).not.toContain('lo');
    // Nothing is made resident after a hole.
    expect(script.chain(0)).toEqual([]);
    expect(vmaProblems(script.kernel)).toEqual([]);
  });

  it('splits, makes resident, and merges again on munlock', () => {
    const script = new VmScript();
    script.map(0, 8);
    expect(lock(script, 2, 2)).toBe(0);
    expect(script.ranges()).toBe('0-2 2-4 4-8');
    expect(script.chain(2)).toEqual([1]);
    expect(script.run({ op: 'munlock', p: 0, at: 0, n: 8 })).toBe(0);
    // The piece that was written cannot be told from the others any more.
    expect(script.ranges()).toBe('0-8');
    expect(vmaProblems(script.kernel)).toEqual([]);
  });

  it('on fault sets a second flag and fills nothing', () => {
    const script = new VmScript();
    script.map(0, 4);
    expect(lock(script, 0, 4, 1)).toBe(0);
    expect(script.flags(0)).toBe('rd wr mr mw me lo lf ac');
    expect(script.chain(0)).toEqual([]);
    lock(script, 0, 4, 0);
    expect(script.flags(0)).toBe('rd wr mr mw me lo ac');
  });

  it('answers ENOMEM for memory without access, but locks it', () => {
    const script = new VmScript();
    script.map(0, 4);
    script.map(4, 4, 'n');
    expect(lock(script, 0, 8)).toBe('ENOMEM');
    expect(script.flags(0)).toContain('lo');
    expect(script.flags(4)).toContain('lo');
    expect(script.chain(0)).toEqual([1]);
  });

  it('answers ENOMEM for a guard', () => {
    const script = new VmScript();
    script.map(0, 4);
    script.advise(2, 1, 'guard_install');
    expect(lock(script, 0, 4)).toBe('ENOMEM');
    expect(script.flags(0)).toContain('lo');
  });

  it('munlock stops at a hole, having unlocked what comes before', () => {
    const script = new VmScript();
    script.map(0, 4, 'rw', 'locked');
    script.map(5, 4, 'rw', 'locked');
    expect(script.run({ op: 'munlock', p: 0, at: 0, n: 9 })).toBe('ENOMEM');
    expect(script.flags(0)).not.toContain('lo');
    expect(script.flags(5)).toContain('lo');
  });

  it('a child of fork is not locked', () => {
    const script = new VmScript();
    script.map(0, 4, 'rw', 'locked');
    script.fork(0, 1);
    expect(script.flags(0, 1)).not.toContain('lo');
  });
});

describe('mlockall', () => {
  it('locks and fills everything, passing over what cannot be had', () => {
    const script = new VmScript();
    script.map(0, 4);
    script.map(8, 4, 'n');
    script.map(16, 4, 'r');
    expect(script.run({ op: 'mlockall', p: 0, flags: 'current' })).toBe(0);
    expect([0, 8, 16].map((at) => script.flags(at).includes('lo'))).toEqual([true, true, true]);
    expect(script.chain(0)).toEqual([1]);
    expect(script.run({ op: 'munlockall', p: 0 })).toBe(0);
    expect(script.flags(0)).not.toContain('lo');
  });

  it('refuses no flags, and onfault alone', () => {
    const script = new VmScript();
    expect(script.run({ op: 'mlockall', p: 0, flags: 'onfault' })).toBe('EINVAL');
  });

  it('joins VMAs that become alike', () => {
    const script = new VmScript();
    script.map(0, 12);
    lock(script, 4, 4, 1);
    expect(script.ranges()).toBe('0-4 4-8 8-12');
    script.run({ op: 'mlockall', p: 0, flags: 'current|onfault' });
    expect(script.ranges()).toBe('0-12');
    expect(vmaProblems(script.kernel)).toEqual([]);
  });
});
