import { describe, expect, it } from 'vitest';
import { underMmapLock } from '../../../test/support/under_mmap_lock.js';
import { REGION_START, VmScript } from '../../../test/support/vm_script.js';
import { copyVma, type CopiedVma } from './copy_vma.js';

function copy(script: VmScript, vmaAt: number, at: number, to: number, n: number): CopiedVma {
  const { kernel } = script;
  const vma = script.vma(vmaAt);
  const copied = underMmapLock(vma.mm, () =>
    copyVma(kernel, vma, at + REGION_START, to + REGION_START, n),
  );
  if (copied === undefined) throw new Error('no memory');
  return copied;
}

describe('the destination of a move (spec 10 §9.6)', () => {
  it('needs no locks if it is new: walkers visit it after its source', () => {
    const script = new VmScript();
    script.map(0, 4);
    script.write(0, 4);
    const { vma, source, needRmapLocks } = copy(script, 0, 0, 32, 4);
    expect(vma).not.toBe(source);
    expect(needRmapLocks).toBe(false);
    expect(script.walk(1)).toBe('0:0 0:32');
  });

  it('needs locks if it sorts before its source', () => {
    const script = new VmScript();
    script.map(0, 8);
    script.write(0, 8);
    // Pages 4 to 8 live at 36 to 40 and come back to their neighbour.
    script.move(4, 4, 36);
    const { vma, source, needRmapLocks } = copy(script, 36, 36, 4, 4);
    expect([vma.start - REGION_START, source.start - REGION_START]).toEqual([0, 36]);
    expect(needRmapLocks).toBe(true);
  });

  it('needs locks if it starts at the same page offset', () => {
    const script = new VmScript();
    script.map(0, 8);
    script.write(0, 8);
    script.move(0, 4, 32);
    const { vma, needRmapLocks } = copy(script, 32, 32, 0, 4);
    expect(vma.pgoff).toBe(script.vma(32).pgoff);
    expect(needRmapLocks).toBe(true);
  });

  it('needs none if it sorts behind its source', () => {
    const script = new VmScript();
    script.map(0, 8);
    script.write(0, 8);
    script.move(6, 2, 38);
    const { vma, needRmapLocks } = copy(script, 0, 4, 36, 2);
    expect([vma.start, vma.pgoff]).toEqual([REGION_START + 36, REGION_START + 4]);
    expect(needRmapLocks).toBe(false);
  });

  it('may swallow its unwritten source, from either side', () => {
    for (const [sourceAt, to] of [
      [0, 4],
      [8, 4],
    ] as const) {
      const script = new VmScript();
      script.map(0, 4);
      script.map(8, 4);
      const { vma, source } = copy(script, sourceAt, sourceAt, to, 4);
      expect(source).toBe(vma);
      expect(vma.detached).toBe(false);
      expect(script.ranges()).toBe('0-12');
    }
  });
});
