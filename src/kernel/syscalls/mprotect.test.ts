import { describe, expect, it } from 'vitest';
import { VmScript } from '../../../test/support/vm_script.js';
import { vmaProblems } from '../../../test/support/vma_oracle.js';
import { VM_MAYWRITE } from '../vm/vm_flags.js';

describe('mprotect (spec 97 §1.3, §2)', () => {
  it('accepts length 0 anywhere, and needs the first page mapped', () => {
    const script = new VmScript();
    expect(script.protect(0, 0, 'r')).toBe(0);
    script.map(4, 4);
    expect(script.protect(3, 5, 'r')).toBe('ENOMEM');
    expect(script.flags(4)).toContain('wr');
  });

  it('changes what lies before a hole', () => {
    const script = new VmScript();
    script.map(0, 4);
    script.map(5, 4);
    expect(script.protect(0, 9, 'r')).toBe('ENOMEM');
    expect(script.flags(0)).toBe('rd mr mw me');
    expect(script.flags(5)).toContain('wr');
    expect(script.protect(0, 6, 'n')).toBe('ENOMEM');
    expect(script.flags(0)).toBe('mr mw me');
  });

  it('answers EACCES for what the mapping may not become', () => {
    const script = new VmScript();
    script.map(0, 4, 'r');
    script.vma(0).flags &= ~VM_MAYWRITE;
    expect(script.protect(0, 4, 'rw')).toBe('EACCES');
    expect(script.protect(0, 4, 'rx')).toBe(0);
  });

  it('leaves a VMA alone that has the flags already', () => {
    const script = new VmScript();
    script.map(0, 8);
    expect(script.protect(2, 2, 'rw')).toBe(0);
    expect(script.ranges()).toBe('0-8');
    script.kernel.failAllocation = 1;
    expect(script.protect(2, 2, 'rw')).toBe(0);
  });

  it('accounts memory when it first becomes writable', () => {
    const script = new VmScript();
    script.map(0, 4, 'r');
    script.protect(0, 4, 'rw');
    expect(script.flags(0)).toBe('rd wr mr mw me ac');
    script.map(8, 4, 'r', 'noreserve');
    script.protect(8, 4, 'rw');
    expect(script.flags(8)).toBe('rd wr mr mw me nr');
    script.run({ op: 'mmap', p: 0, at: 16, n: 4, prot: 'r', flags: 'shared|anon' });
    script.protect(16, 4, 'rw');
    expect(script.flags(16)).toBe('rd wr sh mr mw me ms');
  });

  it('and no longer when unwritten anonymous memory stops being writable', () => {
    const script = new VmScript();
    script.run({ op: 'file', id: 'f', n: 4, kind: 'memfd' });
    script.map(0, 4);
    script.map(8, 4);
    script.write(8);
    script.mapFile('f', 16, 4, 'private');
    for (const at of [0, 8, 16]) script.protect(at, 4, 'r');
    expect([0, 8, 16].map((at) => script.flags(at).includes('ac'))).toEqual([false, true, true]);
  });

  it('keeps accounting as it is where the protection stays', () => {
    const script = new VmScript();
    script.map(0, 4);
    script.write(0);
    script.protect(0, 4, 'r');
    // The anon_vma goes, the accounting stays.
    script.run({ op: 'mremap', p: 0, at: 0, n: 4, new: 4, to: 52, flags: 'fixed|dontunmap' });
    expect(script.flags(0)).toBe('rd mr mw me ac');
    expect(script.protect(0, 4, 'r')).toBe(0);
    expect(script.flags(0)).toBe('rd mr mw me ac');
    expect(script.protect(0, 4, 'n')).toBe(0);
    expect(script.flags(0)).toBe('mr mw me');
  });

  it('makes locked memory resident when it becomes writable', () => {
    const script = new VmScript();
    script.map(0, 4, 'r', 'locked');
    expect(script.chain(0)).toEqual([]);
    script.protect(0, 4, 'rw');
    expect(script.chain(0)).toEqual([1]);
    expect(vmaProblems(script.kernel)).toEqual([]);
  });

  it('stops where a split fails; the VMAs before are changed', () => {
    const script = new VmScript();
    script.map(0, 4);
    script.map(4, 4, 'rwx', 'noreserve');
    script.kernel.failAllocation = 1;
    expect(script.protect(0, 6, 'r')).toBe('ENOMEM');
    expect(script.flags(0)).toBe('rd mr mw me');
    expect(script.ranges()).toBe('0-4 4-8');
  });
});
