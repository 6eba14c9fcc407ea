import { describe, expect, it } from 'vitest';
import { VmScript } from '../../../test/support/vm_script.js';
import { vmaProblems } from '../../../test/support/vma_oracle.js';
import { NIL } from '../../base/units.js';
import { ENOMEM } from '../errno.js';
import { runToEnd } from '../op/prims.js';
import { anonVmaAlloc, anonVmaPrepare, getAnonVma, putAnonVma } from './anon_vma.js';

// @covers anon_vma, anon_vma.root, anon_vma.parent, anon_vma.refcount, anon_vma.num_children
// @covers anon_vma.num_active_vmas, anon_vma_prepare, __anon_vma_prepare, get_anon_vma
// @covers put_anon_vma, __put_anon_vma, anon_vma_init

describe('the life of an anon_vma', () => {
  it('starts as its own root and parent, with one reference', () => {
    const { kernel } = new VmScript();
    const anonVma = anonVmaAlloc(kernel)!;
    expect(anonVma.root).toBe(anonVma);
    expect(anonVma.parent).toBe(anonVma);
    expect([anonVma.refcount, anonVma.childCount, anonVma.activeVmaCount]).toEqual([1, 0, 0]);
  });

  it('ends with the last reference; the object is taken again first', () => {
    const { kernel } = new VmScript();
    const anonVma = anonVmaAlloc(kernel)!;
    runToEnd(getAnonVma(anonVma));
    runToEnd(putAnonVma(kernel, anonVma));
    expect(anonVma.refcount).toBe(1);
    runToEnd(putAnonVma(kernel, anonVma));
    expect(anonVma.refcount).toBe(0);
    expect(kernel.anonVmas[anonVma.id]).toBe(anonVma);
    expect(anonVmaAlloc(kernel)).toBe(anonVma);
  });

  it('begins in a table whose objects keep their type and lock for ever', () => {
    const script = new VmScript();
    const { kernel } = script;
    expect(kernel.anonVmas.map(({ refcount, tree }) => [refcount, tree.root])).toEqual([[0, NIL]]);
    script.map(0, 4);
    script.write(0);
    const [, first] = kernel.anonVmas;
    const { rwsem, tree } = first;
    script.unmap(0, 4);
    expect([first.refcount, tree.root]).toEqual([0, NIL]);
    script.map(8, 4);
    script.write(8);
    expect(kernel.anonVmas).toHaveLength(2);
    expect([kernel.anonVmas[1], first.rwsem, first.tree]).toEqual([first, rwsem, tree]);
    expect(script.chain(8)).toEqual([first.id]);
  });

  it('a child takes the root along when it goes last', () => {
    const { kernel } = new VmScript();
    const root = anonVmaAlloc(kernel)!;
    const child = anonVmaAlloc(kernel)!;
    child.root = root;
    root.refcount += 1;
    runToEnd(putAnonVma(kernel, root));
    expect(root.refcount).toBe(1);
    runToEnd(putAnonVma(kernel, child));
    expect(root.refcount).toBe(0);
  });

  it('is not put more often than got', () => {
    const { kernel } = new VmScript();
    const anonVma = anonVmaAlloc(kernel)!;
    runToEnd(putAnonVma(kernel, anonVma));
    expect(() => runToEnd(putAnonVma(kernel, anonVma))).toThrow(/once too often/);
  });
});

describe('anonVmaPrepare', () => {
  it('makes a root for the first write, not for a read', () => {
    const script = new VmScript();
    script.map(0, 4);
    script.run({ op: 'read', p: 0, at: 0, n: 4 });
    expect(script.chain(0)).toEqual([]);
    script.write(0, 4);
    expect(script.chain(0)).toEqual([1]);
    expect(script.counts(1)).toBe('1 1 1');
    expect(script.walk(1)).toBe('0:0');
    expect(vmaProblems(script.kernel)).toEqual([]);
  });

  it('does nothing the second time', () => {
    const script = new VmScript();
    script.map(0, 4);
    script.write(0);
    expect(runToEnd(anonVmaPrepare(script.kernel, script.vma(0)))).toBe(0);
    expect(script.counts(1)).toBe('1 1 1');
  });

  it('answers ENOMEM and leaves nothing, whichever allocation fails', () => {
    for (const failing of [1, 2]) {
      const script = new VmScript();
      script.map(0, 4);
      script.kernel.failAllocation = failing;
      expect(runToEnd(anonVmaPrepare(script.kernel, script.vma(0)))).toBe(-ENOMEM);
      expect(script.chain(0)).toEqual([]);
      expect(script.living()).toEqual([]);
      expect(vmaProblems(script.kernel)).toEqual([]);
    }
  });
});

describe('borrowing the anon_vma of a neighbour', () => {
  /** Two adjacent VMAs that differ in protection; the first is written. */
  function neighbours(): VmScript {
    const script = new VmScript();
    script.map(0, 8);
    script.write(0);
    script.protect(4, 4, 'r');
    script.unmap(4, 4);
    script.map(4, 4, 'rwx');
    return script;
  }

  it('is done if they differ in access only', () => {
    const script = neighbours();
    script.write(4);
    expect(script.chain(4)).toEqual([1]);
    expect(script.counts(1)).toBe('1 1 2');
    expect(script.ranges()).toBe('0-4 4-8');
    expect(script.protect(4, 4, 'rw')).toBe(0);
    expect(script.ranges()).toBe('0-8');
    expect(script.counts(1)).toBe('1 1 1');
  });

  it('is done if they differ in the guard flag', () => {
    const script = neighbours();
    script.advise(0, 1, 'guard_install');
    script.write(4);
    expect(script.chain(4)).toEqual([1]);
  });

  it.each(['dontfork', 'wipeonfork', 'dontdump', 'sequential', 'random', 'hugepage'] as const)(
    'is not done if one has %s',
    (advice) => {
      const script = neighbours();
      script.advise(4, 4, advice);
      script.write(4);
      expect(script.chain(4)).toEqual([2]);
    },
  );

  it('asks the right neighbour first', () => {
    const script = new VmScript();
    script.map(0, 4);
    script.map(8, 4);
    script.write(0);
    script.write(8);
    script.map(4, 4, 'rwx');
    script.write(4);
    expect(script.chain(4)).toEqual([2]);
  });

  it('is not done across a gap, a page-offset jump, or another open file', () => {
    const gap = new VmScript();
    gap.map(0, 4);
    gap.write(0);
    gap.map(5, 3, 'rwx');
    gap.write(5);
    expect(gap.chain(5)).toEqual([2]);

    const jump = new VmScript();
    jump.map(0, 4);
    jump.map(16, 4, 'rwx');
    jump.write(0);
    jump.write(16);
    jump.unmap(16, 2);
    // Comes to lie behind the first, but keeps its page offset.
    jump.move(18, 2, 4);
    jump.run({ op: 'mremap', p: 0, at: 4, n: 2, new: 2, to: 32, flags: 'fixed|dontunmap' });
    jump.write(4);
    expect(jump.chain(4)).not.toContain(1);

    const files = new VmScript();
    files.run({ op: 'file', id: 'f', n: 8, kind: 'memfd' });
    files.mapFile('f', 0, 4, 'private', 0);
    files.mapFile('f', 4, 4, 'private', 4);
    files.write(0);
    files.write(4);
    expect(files.chain(4)).toEqual([2]);
  });

  it('is not done with a VMA that came through fork', () => {
    const script = neighbours();
    script.fork(0, 1);
    script.write(4, 1, 1);
    expect(script.chain(0, 1)).toEqual([2, 1]);
    expect(script.chain(4, 1)).toEqual([3]);
    expect(vmaProblems(script.kernel)).toEqual([]);
  });
});
