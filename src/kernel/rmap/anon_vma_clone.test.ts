import { describe, expect, it } from 'vitest';
import { underMmapLock } from '../../../test/support/under_mmap_lock.js';
import { VmScript } from '../../../test/support/vm_script.js';
import { vmaProblems } from '../../../test/support/vma_oracle.js';
import { ENOMEM } from '../errno.js';
import { runToEnd } from '../op/prims.js';
import { createMm, exitMmap } from '../syscalls/fork.js';
import { duplicateVma, splitVma } from '../vm/vma_split.js';
import { anonVmaClone, anonVmaFork, anonVmaMerge } from './anon_vma_clone.js';

// @covers anon_vma_chain, anon_vma_chain.vma, anon_vma_chain.anon_vma, anon_vma_chain.same_vma
// @covers anon_vma_chain.rb, anon_vma.rb_root, anon_vma_clone, anon_vma_fork
// @covers unlink_anon_vmas, anon_vma_merge

/** Process 0 maps and writes; 1 is its child, 2 the child of 1, and so on. */
function generations(count: number): VmScript {
  const script = new VmScript();
  script.map(0, 4);
  script.write(0);
  for (let child = 1; child < count; child += 1) script.fork(child - 1, child);
  return script;
}

describe('fork', () => {
  it('gives each generation an own anon_vma below its parent’s', () => {
    const script = generations(3);
    expect(script.chain(0, 0)).toEqual([1]);
    expect(script.chain(0, 1)).toEqual([2, 1]);
    expect(script.chain(0, 2)).toEqual([3, 2, 1]);
    expect([1, 2, 3].map((id) => script.counts(id))).toEqual(['3 2 1', '1 1 1', '1 0 1']);
    expect([1, 2, 3].map((id) => script.walk(id))).toEqual(['0:0 1:0 2:0', '1:0 2:0', '2:0']);
    expect(script.kernel.anonVmas[3].parent.id).toBe(2);
    expect(vmaProblems(script.kernel)).toEqual([]);
  });

  it('makes nothing for a VMA that was never written', () => {
    const script = new VmScript();
    script.map(0, 4);
    script.fork(0, 1);
    expect(script.chain(0, 1)).toEqual([]);
    script.write(0, 1, 0);
    script.write(0, 1, 1);
    expect([script.chain(0, 0), script.chain(0, 1)]).toEqual([[1], [2]]);
  });

  it('leaves out DONTFORK VMAs and empties WIPEONFORK ones', () => {
    const script = new VmScript();
    script.map(0, 12);
    script.write(0, 12);
    script.advise(0, 4, 'dontfork');
    script.advise(4, 4, 'wipeonfork');
    script.fork(0, 1);
    expect(script.ranges(1)).toBe('4-8 8-12');
    expect(script.chain(4, 1)).toEqual([]);
    expect(script.chain(8, 1)).toEqual([2, 1]);
    expect(vmaProblems(script.kernel)).toEqual([]);
  });

  it('gives the pieces of one area different anon_vmas in the child', () => {
    const script = generations(1);
    script.protect(1, 1, 'r');
    script.fork(0, 1);
    expect([0, 1, 2].map((at) => script.chain(at, 1))).toEqual([
      [2, 1],
      [3, 1],
      [4, 1],
    ]);
    expect(script.counts(1)).toBe('4 4 3');
    expect(vmaProblems(script.kernel)).toEqual([]);
  });
});

describe('exit', () => {
  it('keeps the anon_vma of the middle of a chain', () => {
    const script = generations(3);
    script.exit(1);
    expect(script.counts(2)).toBe('1 1 0');
    expect(script.walk(2)).toBe('2:0');
    expect(script.counts(1)).toBe('3 2 1');
    script.exit(2);
    expect(script.living()).toEqual([1]);
    expect(script.counts(1)).toBe('1 1 1');
    script.exit(0);
    expect(script.living()).toEqual([]);
  });

  it('keeps the root while any descendant lives', () => {
    const script = generations(2);
    script.exit(0);
    expect(script.counts(1)).toBe('2 2 0');
    expect(vmaProblems(script.kernel)).toEqual([]);
    script.exit(1);
    expect(script.living()).toEqual([]);
  });
});

describe('recycling', () => {
  it('takes the anon_vma of a dead process in a linear chain', () => {
    const script = generations(3);
    script.exit(1);
    script.fork(2, 3);
    expect(script.chain(0, 3)).toEqual([3, 2, 1]);
    expect(script.vma(0, 3).anonVma?.id).toBe(2);
    expect(script.counts(2)).toBe('1 1 1');
    expect(vmaProblems(script.kernel)).toEqual([]);
  });

  it('takes the oldest of several', () => {
    const script = generations(4);
    script.exit(1);
    script.exit(2);
    script.fork(3, 4);
    expect(script.vma(0, 4).anonVma?.id).toBe(2);
    script.fork(3, 5);
    expect(script.vma(0, 5).anonVma?.id).toBe(3);
  });

  it('never takes one that a VMA uses: two owners would have different chains', () => {
    const script = generations(3);
    script.exit(1);
    script.fork(2, 3);
    // The recycled one has one user and one child again; a single sum of both once hid that.
    script.fork(2, 4);
    expect(script.vma(0, 4).anonVma?.id).toBe(4);
    script.exit(2);
    script.fork(4, 5);
    expect(vmaProblems(script.kernel)).toEqual([]);
    for (const p of [0, 3, 4, 5]) script.exit(p);
    expect(script.living()).toEqual([]);
  });

  it('never takes one with two branches below', () => {
    const script = generations(2);
    script.fork(1, 2);
    script.fork(1, 3);
    script.exit(1);
    script.fork(2, 4);
    expect(script.counts(2)).toBe('1 2 0');
    expect(script.vma(0, 4).anonVma?.id).toBe(5);
  });

  it('keeps a line of forks and exits short', () => {
    const script = generations(1);
    for (let p = 1; p <= 8; p += 1) {
      script.fork(p - 1, p);
      script.exit(p - 1);
    }
    expect(script.living()).toHaveLength(3);
    expect(vmaProblems(script.kernel)).toEqual([]);
  });
});

describe('failing allocations', () => {
  it('undo a fork completely, wherever they happen', () => {
    let failing = 1;
    for (; failing < 40; failing += 1) {
      const script = generations(3);
      script.protect(1, 1, 'r', 2);
      // The reuse candidate must not be uncounted by the clean-up.
      script.exit(1);
      const before = [1, 2, 3].map((id) => script.counts(id));
      script.kernel.failAllocation = failing;
      const result = script.fork(2, 9);
      if (result === 0) break;
      expect(result).toBe('ENOMEM');
      expect([1, 2, 3].map((id) => script.counts(id))).toEqual(before);
      expect(script.living()).toEqual([1, 2, 3]);
      expect(vmaProblems(script.kernel)).toEqual([]);
    }
    expect(failing).toBeGreaterThan(8);
  });

  it('undo a clone that had already chosen an anon_vma', () => {
    const script = generations(3);
    script.exit(1);
    const from = script.vma(0, 2);
    const child = createMm(script.kernel, 7);
    const copy = duplicateVma(from, child);
    copy.anonVma = undefined;
    script.kernel.failAllocation = 3;
    expect(runToEnd(anonVmaClone(script.kernel, copy, from))).toBe(-ENOMEM);
    expect(copy.anonVma).toBeUndefined();
    expect(copy.anonVmaChain).toEqual([]);
    expect(script.counts(2)).toBe('1 1 0');
    runToEnd(exitMmap(script.kernel, child));
  });

  it('undo a split', () => {
    const script = generations(3);
    for (const failing of [1, 2, 3, 4]) {
      script.kernel.failAllocation = failing;
      expect(
        underMmapLock(script.vma(0, 2).mm, () =>
          splitVma(script.kernel, script.vma(0, 2), script.vma(0, 2).start + 1, true),
        ),
      ).toBe(-ENOMEM);
      expect(script.ranges(2)).toBe('0-4');
      expect(vmaProblems(script.kernel)).toEqual([]);
    }
  });
});

describe('anonVmaMerge', () => {
  it('refuses VMAs of different anon_vmas', () => {
    const script = new VmScript();
    script.map(0, 4);
    script.map(8, 4);
    script.write(0);
    script.write(8);
    expect(() => runToEnd(anonVmaMerge(script.kernel, script.vma(0), script.vma(8)))).toThrow(
      /different anon_vmas/,
    );
  });

  it('connects a forked VMA in the order of its parent', () => {
    const script = generations(2);
    const from = script.vma(0, 1);
    const child = createMm(script.kernel, 7);
    const copy = duplicateVma(from, child);
    expect(runToEnd(anonVmaFork(script.kernel, copy, from))).toBe(0);
    child.vmas.push(copy);
    expect(copy.anonVmaChain.map(({ anonVma }) => anonVma.id)).toEqual([3, 2, 1]);
    expect(vmaProblems(script.kernel)).toEqual([]);
  });
});
