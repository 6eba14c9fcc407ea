import { describe, expect, it } from 'vitest';
import { REGION_START, VmScript } from '../../../test/support/vm_script.js';
import { vmaProblems } from '../../../test/support/vma_oracle.js';

/** A written VMA of 8 pages. */
function written(): VmScript {
  const script = new VmScript();
  script.map(0, 8);
  for (let at = 0; at < 8; at += 1) script.run({ op: 'write', p: 0, at, n: 1, v: at + 1 });
  return script;
}

function keep(script: VmScript, at: number, n: number, to: number): number | string {
  return script.run({ op: 'mremap', p: 0, at, n, new: n, to, flags: 'fixed|dontunmap' });
}

function values(script: VmScript, at: number, n: number): unknown {
  return script.machine.apply({ op: 'read', p: 0, at, n }).vals;
}

function expectSound(script: VmScript): void {
  expect(vmaProblems(script.kernel)).toEqual([]);
}

describe('mremap: results in order (spec 97 §1.5)', () => {
  it('1, 2: length 0; another length with dontunmap', () => {
    const script = written();
    expect(script.resize(0, 4, 0)).toBe('EINVAL');
    expect(
      script.run({ op: 'mremap', p: 0, at: 0, n: 4, new: 5, to: 16, flags: 'fixed|dontunmap' }),
    ).toBe('EINVAL');
  });

  it('3: source and destination overlap, also to == at', () => {
    const script = written();
    expect(script.move(0, 4, 0)).toBe('EINVAL');
    expect(script.move(0, 4, 3)).toBe('EINVAL');
    expect(script.move(4, 4, 2, 3)).toBe('EINVAL');
    expect(script.ranges()).toBe('0-8');
  });

  it('4: nothing mapped', () => {
    expect(written().resize(8, 1, 1)).toBe('EFAULT');
  });

  it('5: old length 0 duplicates shared memory only', () => {
    const script = written();
    expect(script.move(0, 0, 32, 4)).toBe('EINVAL');
    script.run({ op: 'mmap', p: 0, at: 16, n: 4, prot: 'rw', flags: 'shared|anon' });
    script.run({ op: 'write', p: 0, at: 16, n: 4, v: 9 });
    expect(script.move(17, 0, 32, 3)).toBe(32);
    expect(script.ranges()).toBe('0-8 16-20 32-35');
    expect(script.vma(32).pgoff).toBe(1);
    expect(values(script, 32, 3)).toEqual([[9, 3]]);
    expectSound(script);
  });

  it('7: a resize that reaches past the VMA', () => {
    const script = written();
    script.map(8, 4, 'r');
    expect(script.move(4, 8, 32, 9)).toBe('EFAULT');
    expect(script.move(4, 8, 32, 5)).toBe('EFAULT');
    // Only what stays must lie in the VMA.
    expect(script.move(4, 8, 32, 4)).toBe(32);
    expect(script.ranges()).toBe('0-4 32-36');
    expectSound(script);
  });

  it('8: the destination is unmapped, and the tail that is cut off', () => {
    const script = written();
    script.map(30, 4);
    expect(script.move(0, 4, 32, 2)).toBe(32);
    expect(script.ranges()).toBe('4-8 30-32 32-34');
    expect(values(script, 32, 2)).toEqual([
      [1, 1],
      [2, 1],
    ]);
    expectSound(script);
  });

  it('9, 10: the same length is nothing; shrinking may span holes', () => {
    const script = written();
    script.map(9, 4);
    expect(script.resize(0, 100, 100)).toBe(0);
    expect(script.resize(0, 11, 4)).toBe(0);
    expect(script.ranges()).toBe('0-4 11-13');
    expectSound(script);
  });

  it('11, 13: growth past the VMA, without room, or from its middle', () => {
    const script = written();
    script.map(9, 4);
    expect(script.resize(4, 5, 6)).toBe('EFAULT');
    expect(script.resize(0, 8, 10)).toBe('ENOMEM');
    expect(script.resize(0, 4, 6)).toBe('ENOMEM');
    expect(script.ranges()).toBe('0-8 9-13');
  });

  it('12: growth in place', () => {
    const script = written();
    expect(script.resize(6, 2, 4)).toBe(6);
    expect(script.ranges()).toBe('0-10');
    expectSound(script);
  });

  it('14: the kernel chooses a place', () => {
    const script = written();
    script.map(9, 4);
    const to = script.resize(0, 8, 16, 0, 'maymove');
    expect(to).toBeGreaterThan(1000);
    expect(script.vma(Number(to)).lengthPages).toBe(16);
    expect(script.ranges()).toMatch(/^9-13 /);
    expectSound(script);
  });
});

describe('mremap: moves (spec 97 §5)', () => {
  it('keep page offset and anon_vma of written memory', () => {
    const script = written();
    script.move(0, 8, 32);
    expect(script.ranges()).toBe('32-40');
    expect(script.vma(32).pgoff).toBe(REGION_START);
    expect(script.chain(32)).toEqual([1]);
    expect(script.counts(1)).toBe('1 1 1');
    expect(values(script, 32, 2)).toEqual([
      [1, 1],
      [2, 1],
    ]);
    expectSound(script);
  });

  it('give unwritten memory the page offset of its new place', () => {
    const script = new VmScript();
    script.map(0, 8);
    script.move(2, 4, 32);
    expect(script.vma(32).pgoff).toBe(REGION_START + 32);
    expect(script.ranges()).toBe('0-2 6-8 32-36');
  });

  it('away and back give one VMA; swapped halves give two', () => {
    const back = written();
    back.move(4, 4, 32);
    back.move(32, 4, 4);
    expect(back.ranges()).toBe('0-8');
    expect(back.counts(1)).toBe('1 1 1');
    expectSound(back);

    const swapped = written();
    swapped.move(0, 4, 32);
    swapped.move(4, 4, 0);
    swapped.move(32, 4, 4);
    expect(swapped.ranges()).toBe('0-4 4-8');
    expect(swapped.chain(0)).toEqual(swapped.chain(4));
    expectSound(swapped);
  });

  it('merge written memory into an unwritten neighbour, which takes its anon_vmas', () => {
    const script = new VmScript();
    script.map(0, 4);
    script.map(8, 4);
    script.write(8, 4);
    script.map(36, 4);
    script.move(8, 4, 32);
    // Page offsets do not fit here.
    expect(script.ranges()).toBe('0-4 32-36 36-40');

    const fits = new VmScript();
    fits.map(4, 4);
    fits.write(4, 4);
    fits.move(4, 4, 32);
    fits.map(0, 4);
    fits.move(32, 4, 4);
    expect(fits.ranges()).toBe('0-8');
    expect(fits.chain(0)).toEqual([1]);
    expect(fits.counts(1)).toBe('1 1 1');
    expectSound(fits);
  });

  it('merge it on the left side too, and between two unwritten neighbours', () => {
    const left = new VmScript();
    left.map(0, 4);
    left.write(0, 4);
    left.move(0, 4, 32);
    left.map(4, 4);
    left.move(32, 4, 0);
    expect(left.ranges()).toBe('0-8');
    expect(left.chain(0)).toEqual([1]);
    expectSound(left);

    const between = new VmScript();
    between.map(4, 4);
    between.write(4, 4);
    between.move(4, 4, 32);
    between.map(0, 4);
    between.map(8, 4);
    between.move(32, 4, 4);
    expect(between.ranges()).toBe('0-12');
    expect(between.chain(0)).toEqual([1]);
    expectSound(between);
  });

  it('do not merge what came through fork into an unwritten neighbour', () => {
    const script = new VmScript();
    script.map(4, 4);
    script.write(4, 4);
    script.move(4, 4, 32);
    script.map(0, 4);
    script.fork(0, 1);
    script.move(32, 4, 4, 4, 1);
    expect(script.ranges(1)).toBe('0-4 4-8');
    expect(script.chain(0, 1)).toEqual([]);
    expect(script.chain(4, 1)).toEqual([2, 1]);
    expectSound(script);
  });

  it('of unwritten memory beside itself absorb and cut the same VMA', () => {
    for (const to of [0, 8]) {
      const script = new VmScript();
      script.map(4, 4);
      expect(script.move(4, 4, to)).toBe(to);
      expect(script.ranges()).toBe(`${to}-${to + 4}`);
      expect(script.vma(to).pgoff).toBe(REGION_START + to);
      expectSound(script);
    }
  });

  it('into the own VMA replace what is there', () => {
    const script = written();
    expect(script.move(4, 4, 0)).toBe(0);
    expect(script.ranges()).toBe('0-4');
    expect(values(script, 0, 4)).toEqual([
      [5, 1],
      [6, 1],
      [7, 1],
      [8, 1],
    ]);
    expectSound(script);
  });

  it('that grow leave the rest empty, or fill it if locked', () => {
    const script = written();
    script.move(0, 8, 32, 12);
    expect(script.ranges()).toBe('32-44');
    const locked = new VmScript();
    locked.map(0, 4, 'rw', 'locked');
    const { freePages } = locked.kernel.memory;
    locked.move(0, 4, 32, 6);
    expect(locked.flags(32)).toContain('lo');
    expect(freePages - locked.kernel.memory.freePages).toBe(2);
  });

  it('fail with ENOMEM when the VMA or its chain cannot be copied', () => {
    for (const failing of [1, 2]) {
      const script = written();
      script.kernel.failAllocation = failing;
      expect(script.move(0, 8, 32)).toBe('ENOMEM');
      expect(script.ranges()).toBe('0-8');
      expect(values(script, 0, 1)).toEqual([[1, 1]]);
      expectSound(script);
    }
  });
});

describe('mremap: dontunmap', () => {
  it('leaves a whole VMA without anon_vma; its next page is of a new one', () => {
    const script = written();
    expect(keep(script, 0, 8, 32)).toBe(32);
    expect(script.ranges()).toBe('0-8 32-40');
    expect(script.chain(0)).toEqual([]);
    expect(script.counts(1)).toBe('1 1 1');
    expect(values(script, 0, 8)).toEqual([[0, 8]]);
    script.write(0);
    expect(script.chain(0)).toEqual([2]);
    expectSound(script);
  });

  it('of a part leaves the VMA unsplit, with its anon_vma, but unlocked', () => {
    const script = written();
    script.run({ op: 'mlock', p: 0, at: 0, n: 8 });
    expect(keep(script, 2, 4, 32)).toBe(32);
    expect(script.ranges()).toBe('0-8 32-36');
    expect(script.chain(0)).toEqual([1]);
    expect(script.flags(0)).not.toContain('lo');
    expect(script.flags(32)).toContain('lo');
    expect(script.counts(1)).toBe('1 1 2');
    expectSound(script);
  });
});

describe('mremap: several VMAs', () => {
  /** r, rw and a hole, then rw. */
  function pieces(): VmScript {
    const script = new VmScript();
    script.map(0, 8);
    script.write(0, 8);
    script.protect(0, 4, 'r');
    script.map(12, 4);
    return script;
  }

  it('move one by one and keep holes, also at the end', () => {
    const script = pieces();
    expect(script.move(0, 20, 64)).toBe(64);
    expect(script.ranges()).toBe('64-68 68-72 76-80');
    expect(script.flags(64)).not.toContain('wr');
    expectSound(script);
  });

  it('unmap only the destinations of the pieces', () => {
    const script = pieces();
    script.map(70, 8, 'x');
    script.move(0, 16, 64);
    expect(script.ranges()).toBe('64-68 68-72 72-76 76-80');
    expect(script.flags(72)).toContain('ex');
    expectSound(script);
  });

  it('need the first page mapped and no resize', () => {
    const script = pieces();
    expect(script.move(8, 8, 64)).toBe('EFAULT');
    expect(script.move(2, 10, 64, 11)).toBe('EFAULT');
  });

  it('can stay with dontunmap', () => {
    const script = pieces();
    expect(keep(script, 0, 8, 64)).toBe(64);
    expect(script.ranges()).toBe('0-4 4-8 12-16 64-68 68-72');
    expect([script.chain(0), script.chain(4)]).toEqual([[], []]);
    expectSound(script);
  });
});

describe('mremap: growth in place', () => {
  it('works for a child of fork', () => {
    const script = written();
    script.fork(0, 1);
    expect(script.resize(0, 8, 12, 1)).toBe(0);
    expect(script.ranges(1)).toBe('0-12');
    expectSound(script);
  });

  it('absorbs the right neighbour when the gap is filled exactly', () => {
    const script = written();
    script.map(12, 4);
    script.resize(0, 8, 12);
    expect(script.ranges()).toBe('0-16');
    expectSound(script);
  });

  it('and does so in a child of fork, whose anon_vmas the neighbour need not take', () => {
    const script = written();
    script.map(12, 4);
    script.fork(0, 1);
    script.resize(0, 8, 12, 1);
    expect(script.ranges(1)).toBe('0-16');
    script.write(13, 1, 1);
    expectSound(script);
  });

  it('but not with another anon_vma, or if the neighbour came through fork with its own', () => {
    const script = written();
    script.map(12, 4);
    script.write(12);
    script.map(100, 4);
    script.map(108, 4);
    script.write(108);
    script.fork(0, 1);
    script.resize(0, 8, 12);
    script.resize(100, 4, 8, 1);
    expect(script.ranges()).toBe('0-12 12-16 100-104 108-112');
    expect(script.ranges(1)).toBe('0-8 12-16 100-108 108-112');
    expectSound(script);
  });

  it('fills locked memory, but not memory locked on fault', () => {
    for (const [onfault, grown] of [
      [0, 4],
      [1, 0],
    ] as const) {
      const script = new VmScript();
      script.map(0, 4);
      script.run({ op: 'mlock', p: 0, at: 0, n: 4, onfault });
      const { freePages } = script.kernel.memory;
      script.resize(0, 4, 8);
      expect(freePages - script.kernel.memory.freePages).toBe(grown);
    }
  });
});
