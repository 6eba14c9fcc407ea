import { describe, expect, it } from 'vitest';
import { stopAt } from '../../test/support/interleave.js';
import { RmapFixture } from '../../test/support/rmap_fixture.js';
import { runToEnd } from '../kernel/op/prims.js';
import type { AnonVma } from '../kernel/rmap/anon_vma_types.js';
import { folioGetAnonVma, folioLockAnonVmaRead } from '../kernel/rmap/folio_anon_vma.js';

// @covers folio_lock_anon_vma_read, folio_get_anon_vma

/** One page of process 0. */
function alone(): RmapFixture {
  const f = new RmapFixture();
  f.map(16, 1);
  f.write(16, 1, 7);
  return f;
}

/** A page that process 0 has left to its child, which has not written to it yet. */
function inherited(): RmapFixture {
  const f = alone();
  f.fork(0, 1);
  f.run({ op: 'madvise', p: 0, at: 16, n: 1, advice: 'dontneed' });
  return f;
}

function ownerOf(f: RmapFixture, at: number, p = 0): AnonVma {
  const { anonVma } = f.vma(at, p);
  if (anonVma === undefined) throw new Error('no anon_vma');
  return anonVma;
}

function unmap(f: RmapFixture): void {
  f.run({ op: 'munmap', p: 0, at: 16, n: 1 });
}

describe('locking the anon_vma of a folio', () => {
  it('starts over when a write fault moved the folio to a child before the lock', () => {
    const f = inherited();
    const head = f.folio(16, 1);
    const task = folioLockAnonVmaRead(f.kernel, head, undefined);
    expect(stopAt(task, 'tryRead').object).toBe(ownerOf(f, 16, 0).rwsem);
    f.write(16, 1, 8, 1);
    expect(f.folio(16, 1)).toBe(head);
    expect(runToEnd(task)).toBe(ownerOf(f, 16, 1));
    expect(ownerOf(f, 16, 1).root.rwsem.readers).toBe(1);
  });

  it('finds nothing when the folio was unmapped before the lock, and holds nothing', () => {
    const f = alone();
    const owner = ownerOf(f, 16);
    const task = folioLockAnonVmaRead(f.kernel, f.folio(16), undefined);
    stopAt(task, 'tryRead');
    f.run({ op: 'madvise', p: 0, at: 16, n: 1, advice: 'dontneed' });
    expect([runToEnd(task), owner.rwsem.readers, owner.refcount]).toEqual([undefined, 0, 1]);
  });

  it('does not revive an object that was freed before it could be secured', () => {
    const f = alone();
    const owner = ownerOf(f, 16);
    const task = folioLockAnonVmaRead(f.kernel, f.folio(16), undefined);
    stopAt(task, 'tryRead');
    unmap(f);
    // The memory is somebody else's by now, who holds its lock.
    owner.rwsem.writers = 1;
    expect([runToEnd(task), owner.refcount]).toEqual([undefined, 0]);
  });

  it('starts over when the folio moved while it waited for the lock', () => {
    const f = inherited();
    const parent = ownerOf(f, 16, 0);
    const before = parent.refcount;
    parent.rwsem.writers = 1;
    const task = folioLockAnonVmaRead(f.kernel, f.folio(16, 1), undefined);
    stopAt(task, 'acquireRead');
    expect(parent.refcount).toBe(before + 1);
    parent.rwsem.writers = 0;
    f.write(16, 1, 8, 1);
    const found = runToEnd(task);
    expect([found, parent.refcount, parent.rwsem.readers]).toEqual([ownerOf(f, 16, 1), before, 1]);
  });

  it('frees the object when all VMAs went away while it waited', () => {
    const f = alone();
    const owner = ownerOf(f, 16);
    owner.rwsem.writers = 1;
    const task = folioLockAnonVmaRead(f.kernel, f.folio(16), undefined);
    stopAt(task, 'acquireRead');
    owner.rwsem.writers = 0;
    unmap(f);
    expect(f.kernel.freeAnonVmaIds).toEqual([]);
    expect(runToEnd(task)).toBeUndefined();
    expect([f.kernel.freeAnonVmaIds, owner.rwsem.readers]).toEqual([[owner.id], 0]);
  });

  it('gives its reference back when the folio was unmapped before it waited', () => {
    const f = alone();
    const owner = ownerOf(f, 16);
    owner.rwsem.writers = 1;
    const task = folioLockAnonVmaRead(f.kernel, f.folio(16), undefined);
    stopAt(task, 'update');
    owner.rwsem.writers = 0;
    f.run({ op: 'madvise', p: 0, at: 16, n: 1, advice: 'dontneed' });
    expect([runToEnd(task), owner.refcount, owner.rwsem.readers]).toEqual([undefined, 1, 0]);
  });
});

describe('keeping the anon_vma of a folio', () => {
  it('fails when the folio was unmapped before the reference was taken', () => {
    const f = alone();
    const owner = ownerOf(f, 16);
    const task = folioGetAnonVma(f.kernel, f.folio(16));
    stopAt(task, 'update');
    f.run({ op: 'madvise', p: 0, at: 16, n: 1, advice: 'dontneed' });
    expect([runToEnd(task), owner.refcount]).toEqual([undefined, 1]);
  });

  it('fails when the object was freed, and when it is another tree already', () => {
    const f = alone();
    const owner = ownerOf(f, 16);
    const freed = folioGetAnonVma(f.kernel, f.folio(16));
    stopAt(freed, 'update');
    const reused = folioGetAnonVma(f.kernel, f.folio(16));
    stopAt(reused, 'update');
    unmap(f);
    expect([runToEnd(freed), owner.refcount]).toEqual([undefined, 0]);
    f.map(64, 1);
    f.write(64, 1, 9);
    expect(ownerOf(f, 64)).toBe(owner);
    // The new page may have the frame of the old one, and must not be taken for it.
    f.run({ op: 'madvise', p: 0, at: 64, n: 1, advice: 'dontneed' });
    expect([runToEnd(reused), owner.refcount]).toEqual([undefined, 1]);
  });
});
