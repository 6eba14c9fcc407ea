import { describe, expect, it } from 'vitest';
import { pointsOf } from '../../test/support/interleave.js';
import { RmapFixture } from '../../test/support/rmap_fixture.js';
import { EINTR } from '../kernel/errno.js';
import { runToEnd, RwSem } from '../kernel/op/prims.js';
import { mmDropAllLocks, mmTakeAllLocks } from '../kernel/rmap/mm_take_all_locks.js';
import { mmuNotifierRegister } from '../kernel/rmap/mmu_notifier.js';
import { isVmaWriteLocked, mmapWriteLock, mmapWriteUnlock } from '../kernel/vm/vma_lock.js';

// @covers mm_take_all_locks, mm_drop_all_locks, mmu_notifier_register

/** Two anon_vma trees over three VMAs, a file mapped twice, and a hugetlb file. */
function fixture(): RmapFixture {
  const f = new RmapFixture();
  f.map(0, 8);
  f.write(0, 8, 7);
  f.run({ op: 'mprotect', p: 0, at: 4, n: 4, prot: 'r' });
  f.map(100, 1);
  f.write(100, 1, 7);
  f.run(
    { op: 'file', id: 'f', n: 8, kind: 'memfd' },
    { op: 'mmap', p: 0, at: 16, n: 4, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
    { op: 'mmap', p: 0, at: 32, n: 4, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
    { op: 'config', key: 'hugetlb', value: 1 },
    { op: 'mmap', p: 0, at: 512, n: 512, prot: 'rw', flags: 'shared|anon|hugetlb' },
  );
  runToEnd(mmapWriteLock(f.mm()));
  return f;
}

function never(): boolean {
  return false;
}

/** Names of the locks that are taken or released, in order. */
function locks(points: ReturnType<typeof pointsOf>['points'], kind: string): string[] {
  return points
    .filter((point) => point.kind === kind)
    .map(({ object }) => (typeof object === 'string' ? object : object.name));
}

/** Locks of anon_vmas and files that are held for write. */
function heldLocks(f: RmapFixture): string[] {
  const all = [
    ...f.kernel.anonVmas.map(({ rwsem }) => rwsem),
    ...f.kernel.mappings.flatMap((mapping) => (mapping === undefined ? [] : [mapping.iMmapRwsem])),
  ];
  return all.filter(({ writers }) => writers === 1).map(({ name }) => name);
}

describe('all locks of an mm', () => {
  it('are taken once each: VMAs, hugetlb files, other files, roots of anon_vmas', () => {
    const f = fixture();
    const mutex = new RwSem('mutex');
    const { points, result } = pointsOf(mmTakeAllLocks(f.mm(), mutex, never));
    expect(result).toBe(true);
    const hugetlb = f.vma(512).file?.mapping.iMmapRwsem.name;
    const file = f.machine.file('f').iMmapRwsem.name;
    const roots = [f.vma(0).anonVma?.rwsem.name, f.vma(100).anonVma?.rwsem.name];
    const vmas = f.mm().vmas.map(({ lock }) => lock.name);
    expect(locks(points, 'acquireWrite')).toEqual(['mutex', ...vmas, hugetlb, file, ...roots]);
    expect(f.mm().vmas.every(isVmaWriteLocked)).toBe(true);
  });

  it('are the root’s, for the VMAs of a child', () => {
    const f = fixture();
    runToEnd(mmapWriteUnlock(f.mm()));
    f.fork(0, 1);
    f.write(0, 1, 9, 1);
    runToEnd(mmapWriteLock(f.mm(1)));
    const root = f.vma(0).anonVma;
    expect(f.vma(0, 1).anonVma).not.toBe(root);
    const { points } = pointsOf(mmTakeAllLocks(f.mm(1), new RwSem('mutex'), never));
    expect(locks(points, 'acquireWrite')).toContain(root?.rwsem.name);
    expect(locks(points, 'acquireWrite')).not.toContain(f.vma(0, 1).anonVma?.rwsem.name);
  });

  it('are released once each, and taken again', () => {
    const f = fixture();
    const mutex = new RwSem('mutex');
    runToEnd(mmTakeAllLocks(f.mm(), mutex, never));
    const held = heldLocks(f);
    expect(held).toHaveLength(4);
    const { points } = pointsOf(mmDropAllLocks(f.mm(), mutex));
    expect(locks(points, 'releaseWrite').toSorted()).toEqual([...held, 'mutex'].toSorted());
    expect([heldLocks(f), mutex.writers]).toEqual([[], 0]);
    expect(runToEnd(mmTakeAllLocks(f.mm(), mutex, never))).toBe(true);
  });

  it('lose their mark before they are released: the next holder must not see it', () => {
    const f = fixture();
    const mutex = new RwSem('mutex');
    runToEnd(mmTakeAllLocks(f.mm(), mutex, never));
    const task = mmDropAllLocks(f.mm(), mutex);
    for (let step = task.next(); step.done !== true; step = task.next()) {
      const { object } = step.value;
      const marked = [...f.kernel.anonVmas, ...f.kernel.mappings].filter(
        (owner) =>
          owner?.lockedByAll === true &&
          ('rwsem' in owner ? owner.rwsem : owner.iMmapRwsem) === object,
      );
      expect(marked).toEqual([]);
    }
  });

  it.each([1, 2, 9, 12])('are all given back when a signal comes at question %i', (last) => {
    const f = fixture();
    const mutex = new RwSem('mutex');
    let asked = 0;
    const isSignalled = (): boolean => (asked += 1) === last;
    expect(runToEnd(mmTakeAllLocks(f.mm(), mutex, isSignalled))).toBe(false);
    expect([heldLocks(f), mutex.writers]).toEqual([[], 0]);
    expect(f.kernel.anonVmas.filter(({ lockedByAll }) => lockedByAll)).toEqual([]);
  });

  it('need the mmap lock', () => {
    const f = fixture();
    runToEnd(mmapWriteUnlock(f.mm()));
    expect(() => runToEnd(mmTakeAllLocks(f.mm(), new RwSem('mutex'), never))).toThrow(/mmap lock/);
  });
});

describe('the registration of a secondary user', () => {
  it('happens under all locks, and leaves none', () => {
    const f = fixture();
    const heard: string[] = [];
    const notifier = { rangeStart: () => void heard.push('start') };
    const task = mmuNotifierRegister(f.kernel, f.mm(), notifier, never);
    let most = 0;
    let step = task.next();
    for (; step.done !== true; step = task.next()) most = Math.max(most, heldLocks(f).length);
    expect([step.value, most, heldLocks(f)]).toEqual([0, 4, []]);
    expect(f.kernel.notifiers.of(f.mm())).toEqual([notifier]);
    f.kernel.notifiers.remove(f.mm(), notifier);
    expect(f.kernel.notifiers.isEmpty).toBe(true);
  });

  it('is given up when a signal comes', () => {
    const f = fixture();
    expect(runToEnd(mmuNotifierRegister(f.kernel, f.mm(), {}, () => true))).toBe(-EINTR);
    expect([f.kernel.notifiers.isEmpty, heldLocks(f)]).toEqual([true, []]);
  });
});
