import { describe, expect, it } from 'vitest';
import { VmScript } from '../../../test/support/vm_script.js';
import { vmaProblems } from '../../../test/support/vma_oracle.js';
import { isForkChild } from './vma_merge.js';

/** Process 0 has a written VMA of 4 pages. */
function written(): VmScript {
  const script = new VmScript();
  script.map(0, 4);
  script.write(0, 4);
  return script;
}

function expectSound(script: VmScript): void {
  expect(vmaProblems(script.kernel)).toEqual([]);
}

describe('new memory beside a VMA (spec 10 §9.7)', () => {
  it('joins a written one on either side', () => {
    const script = written();
    script.map(8, 4);
    script.write(8, 4);
    script.map(12, 4);
    script.map(7, 1);
    expect(script.ranges()).toBe('0-4 7-16');
    expect(script.chain(7)).toEqual([2]);
    expect(script.walk(2)).toBe('0:7');
    expectSound(script);
  });

  it('joins in the parent but not in the child of a fork', () => {
    const script = written();
    script.fork(0, 1);
    script.map(4, 4, 'rw', '', 0);
    script.map(4, 4, 'rw', '', 1);
    expect(script.ranges(0)).toBe('0-8');
    expect(script.ranges(1)).toBe('0-4 4-8');
    expect(isForkChild(script.vma(0, 1))).toBe(true);
    script.write(4, 4, 1);
    script.protect(0, 8, 'r', 1);
    script.protect(0, 8, 'rw', 1);
    expect(script.ranges(1)).toBe('0-4 4-8');
    expect(script.chain(0, 1)).toHaveLength(2);
    expectSound(script);
  });

  it('joins three to one if at most one side has an anon_vma', () => {
    const script = written();
    script.map(8, 4);
    script.map(4, 4);
    expect(script.ranges()).toBe('0-12');
    expect(script.counts(1)).toBe('1 1 1');

    const right = new VmScript();
    right.map(0, 4);
    right.map(8, 4);
    right.write(8, 4);
    right.map(4, 4);
    expect(right.ranges()).toBe('0-12');
    expect(right.chain(0)).toEqual([1]);
    expectSound(right);
  });

  it('joins left only between two anon_vmas', () => {
    const script = written();
    script.map(8, 4);
    script.write(8);
    script.map(4, 4);
    expect(script.ranges()).toBe('0-8 8-12');
    expectSound(script);
  });

  it('joins a hole of the same anon_vma from both sides', () => {
    const script = new VmScript();
    script.map(0, 12);
    script.write(0, 12);
    script.map(4, 4, 'rw', 'fixed');
    expect(script.ranges()).toBe('0-12');
    expect(script.counts(1)).toBe('1 1 1');
    expectSound(script);
  });

  it('needs equal flags, but for the guard flag, which spreads', () => {
    const script = written();
    script.advise(0, 1, 'guard_install');
    script.map(4, 4);
    script.map(8, 4, 'r');
    expect(script.ranges()).toBe('0-8 8-12');
    expect(script.flags(0)).toBe('rd wr mr mw me gu ac');

    const between = new VmScript();
    between.map(0, 4);
    between.map(8, 4);
    between.advise(8, 1, 'guard_install');
    between.map(4, 4);
    expect(between.ranges()).toBe('0-12');
    expect(between.flags(0)).toContain('gu');
  });

  it('never joins two mappings of one file', () => {
    const script = new VmScript();
    script.run({ op: 'file', id: 'f', n: 8, kind: 'tmp' });
    script.mapFile('f', 0, 4, 'shared', 0);
    script.mapFile('f', 4, 4, 'shared', 4);
    expect(script.ranges()).toBe('0-4 4-8');
    expectSound(script);
  });
});

describe('changed flags', () => {
  it('split a VMA in three and join it again', () => {
    const script = written();
    script.protect(1, 2, 'r');
    expect(script.ranges()).toBe('0-1 1-3 3-4');
    expect(script.counts(1)).toBe('1 1 3');
    script.protect(1, 2, 'rw');
    expect(script.ranges()).toBe('0-4');
    expect(script.counts(1)).toBe('1 1 1');
    expectSound(script);
  });

  it('join again in a child that split by itself', () => {
    const script = written();
    script.fork(0, 1);
    script.protect(1, 1, 'r', 1);
    expect(script.ranges(1)).toBe('0-1 1-2 2-4');
    script.protect(1, 1, 'rw', 1);
    expect(script.ranges(1)).toBe('0-4');
    expectSound(script);
  });

  it('do not join in a child what was split before the fork', () => {
    const script = written();
    script.protect(1, 1, 'r');
    script.fork(0, 1);
    script.protect(1, 1, 'rw', 1);
    script.protect(1, 1, 'rw', 0);
    expect(script.ranges(1)).toBe('0-1 1-2 2-4');
    expect(script.ranges(0)).toBe('0-4');
    expectSound(script);
  });

  /** Written read-only memory behind unwritten writable memory. */
  function faultedBehindUnfaulted(p: number): VmScript {
    const script = new VmScript();
    script.map(4, 4);
    script.write(4, 4);
    script.protect(4, 4, 'r');
    if (p === 1) script.fork(0, 1);
    script.map(0, 4, 'rw', '', p);
    return script;
  }

  it('let an unwritten neighbour take over written memory and its anon_vma', () => {
    const script = faultedBehindUnfaulted(0);
    expect(script.chain(0)).toEqual([]);
    script.protect(4, 4, 'rw');
    expect(script.ranges()).toBe('0-8');
    expect(script.chain(0)).toEqual([1]);
    expect(script.counts(1)).toBe('1 1 1');
    expectSound(script);
  });

  it('but not in a child of fork', () => {
    const script = faultedBehindUnfaulted(1);
    script.protect(4, 4, 'rw', 1);
    expect(script.ranges(1)).toBe('0-4 4-8');
    expectSound(script);
  });

  it('take the anon_vma of the middle if both neighbours have none', () => {
    const script = new VmScript();
    script.map(4, 4);
    script.write(4, 4);
    script.protect(4, 4, 'r');
    script.map(0, 4);
    script.map(8, 4);
    script.protect(4, 4, 'rw');
    expect(script.ranges()).toBe('0-12');
    expect(script.chain(0)).toEqual([1]);
    expectSound(script);
  });

  it('take the anon_vma of the right neighbour if only that has one', () => {
    const script = new VmScript();
    script.map(0, 12);
    script.write(8, 4);
    script.protect(0, 4, 'rwx');
    script.unmap(4, 4);
    script.protect(0, 4, 'rw');
    // 0-4 shares the anon_vma of 8-12; put an unwritten one in its place.
    script.unmap(0, 4);
    script.map(0, 4);
    script.map(4, 4, 'rwx');
    script.protect(4, 4, 'rw');
    expect(script.ranges()).toBe('0-12');
    expect(script.chain(0)).toEqual([1]);
    expectSound(script);
  });

  it('move the boundary when a part goes over to a neighbour', () => {
    const script = new VmScript();
    script.map(0, 12);
    script.write(0, 12);
    script.protect(4, 4, 'r');
    script.protect(4, 2, 'rw');
    expect(script.ranges()).toBe('0-6 6-8 8-12');
    script.protect(7, 1, 'rw');
    expect(script.ranges()).toBe('0-6 6-7 7-12');
    expect(script.vma(7).pgoff - script.vma(0).pgoff).toBe(7);
    expectSound(script);
  });

  it('join left only if the neighbours have different anon_vmas', () => {
    const script = written();
    script.map(8, 4);
    script.write(8);
    script.map(4, 4, 'n');
    script.protect(4, 4, 'rw');
    expect(script.ranges()).toBe('0-8 8-12');
    expectSound(script);
  });

  it('go VMA by VMA, so that pieces become one', () => {
    const script = written();
    script.protect(1, 1, 'r');
    script.protect(2, 1, 'n');
    script.protect(0, 4, 'rwx');
    expect(script.ranges()).toBe('0-4');
    expectSound(script);
  });

  it('split and join the mapping of a file on its tree too', () => {
    const script = new VmScript();
    script.run({ op: 'file', id: 'f', n: 8, kind: 'memfd' });
    script.mapFile('f', 0, 8, 'shared');
    const { mapping } = script.vma(0).file!;
    expect(mapping.users).toBe(2);
    script.protect(2, 2, 'r');
    expect(script.ranges()).toBe('0-2 2-4 4-8');
    expect([script.vma(2).pgoff, script.vma(4).pgoff]).toEqual([2, 4]);
    expect(mapping.users).toBe(4);
    expectSound(script);
    script.protect(2, 2, 'rw');
    expect(script.ranges()).toBe('0-8');
    expect(mapping.users).toBe(2);
    expectSound(script);
  });

  it('never join two mappings of one file, or a file and anonymous memory', () => {
    const script = new VmScript();
    script.run({ op: 'file', id: 'f', n: 8, kind: 'memfd' });
    script.mapFile('f', 0, 4, 'private', 0);
    script.mapFile('f', 4, 4, 'private', 4);
    script.map(8, 4);
    script.vma(8).pgoff = 8;
    script.protect(4, 4, 'r');
    script.protect(4, 4, 'rw');
    expect(script.ranges()).toBe('0-4 4-8 8-12');
  });

  it('stop with ENOMEM when the chain cannot be copied, and change nothing', () => {
    const script = faultedBehindUnfaulted(0);
    script.kernel.failAllocation = 1;
    expect(script.protect(4, 4, 'rw')).toBe('ENOMEM');
    expect(script.ranges()).toBe('0-4 4-8');
    expect(script.chain(0)).toEqual([]);
    expect(script.flags(4)).not.toContain('wr');
    expectSound(script);
  });
});

describe('order on the trees', () => {
  it('puts a changed VMA behind equal keys, and a new piece where it was made', () => {
    const script = written();
    script.fork(0, 1);
    script.fork(0, 2);
    expect(script.walk(1)).toBe('0:0 1:0 2:0');
    // The lower piece is the new one: it is inserted behind the others.
    script.protect(2, 2, 'r', 1);
    expect(script.walk(1)).toBe('0:0 2:0 1:0 1:2');
    // The upper piece is the new one: the lower keeps its key but is put back.
    script.protect(0, 1, 'r', 0);
    expect(script.walk(1)).toBe('2:0 1:0 0:0 0:1 1:2');
    expectSound(script);
  });

  it('does not touch them when flags change without a new range', () => {
    const script = written();
    script.fork(0, 1);
    script.protect(0, 4, 'r', 0);
    script.advise(0, 4, 'dontdump', 0);
    script.run({ op: 'mlock', p: 0, at: 0, n: 4 });
    expect(script.walk(1)).toBe('0:0 1:0');
  });
});
