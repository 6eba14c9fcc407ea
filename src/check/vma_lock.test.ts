import { describe, expect, it } from 'vitest';
import { pointsOf, stopAt } from '../../test/support/interleave.js';
import { RmapFixture } from '../../test/support/rmap_fixture.js';
import { userFault } from '../kernel/fault/access.js';
import { VM_FAULT_SIGSEGV } from '../kernel/fault/fault_flags.js';
import { checkInvariants } from '../kernel/invariants/index.js';
import { runToEnd } from '../kernel/op/prims.js';
import { expandDownwards } from '../kernel/vm/stack_growth.js';
import { setVmaRange } from '../kernel/vm/vma_range.js';
import {
  isVmaWriteLocked,
  lockVmaUnderRcu,
  mmapWriteDowngrade,
  mmapWriteLock,
  mmapWriteUnlock,
  vmaEndRead,
  vmaStartWrite,
} from '../kernel/vm/vma_lock.js';

// @covers vma_start_write, vma_end_read, lock_vma_under_rcu, mmap_write_downgrade, vmf_anon_prepare

/** Two VMAs: pages 0–3 are written, 8–11 are not. */
function fixture(): RmapFixture {
  const f = new RmapFixture();
  f.map(0, 4);
  f.write(0, 1, 7);
  f.map(8, 4);
  return f;
}

describe('the lock of a VMA', () => {
  it('is held until the mmap lock is let go', () => {
    const f = fixture();
    const vma = f.vma(0);
    runToEnd(mmapWriteLock(f.mm()));
    runToEnd(vmaStartWrite(vma));
    expect([isVmaWriteLocked(vma), isVmaWriteLocked(f.vma(8))]).toEqual([true, false]);
    expect(runToEnd(lockVmaUnderRcu(f.mm(), vma.start))).toBeUndefined();
    runToEnd(mmapWriteUnlock(f.mm()));
    expect(isVmaWriteLocked(vma)).toBe(false);
    expect(runToEnd(lockVmaUnderRcu(f.mm(), vma.start))).toBe(vma);
  });

  it('is let go when the mmap lock is kept for reading only', () => {
    const f = fixture();
    runToEnd(mmapWriteLock(f.mm()));
    runToEnd(vmaStartWrite(f.vma(0)));
    runToEnd(mmapWriteDowngrade(f.mm()));
    expect(isVmaWriteLocked(f.vma(0))).toBe(false);
    expect([f.mm().mmapLock.readers, f.mm().mmapLock.writers]).toEqual([1, 0]);
  });

  it('waits for the faults inside', () => {
    const f = fixture();
    const vma = f.vma(0);
    const reader = runToEnd(lockVmaUnderRcu(f.mm(), vma.start));
    runToEnd(mmapWriteLock(f.mm()));
    const writer = vmaStartWrite(vma);
    expect(stopAt(writer, 'acquireWrite').object).toBe(vma.lock);
    expect(() => writer.next()).toThrow(/while held/);
    expect(reader).toBe(vma);
  });

  it('is not taken by a reader who found the VMA before it was locked and unmapped', () => {
    const f = fixture();
    const vma = f.vma(0);
    const reader = lockVmaUnderRcu(f.mm(), vma.start);
    stopAt(reader, 'tryRead', vma.lock);
    f.run({ op: 'munmap', p: 0, at: 0, n: 4 });
    expect(runToEnd(reader)).toBeUndefined();
    expect(vma.lock.readers).toBe(0);
  });

  it('is let go by a reader whose page the VMA has lost meanwhile', () => {
    const f = fixture();
    const vma = f.vma(0);
    const reader = lockVmaUnderRcu(f.mm(), vma.start + 3);
    stopAt(reader, 'tryRead', vma.lock);
    f.run({ op: 'munmap', p: 0, at: 3, n: 1 });
    expect(runToEnd(reader)).toBeUndefined();
    expect(vma.lock.readers).toBe(0);
  });

  it('needs the mmap lock, and a VMA that changes needs it', () => {
    const f = fixture();
    const vma = f.vma(0);
    expect(() => runToEnd(vmaStartWrite(vma))).toThrow(/without the mmap lock/);
    expect(() => runToEnd(setVmaRange(f.kernel, vma, vma.start, vma.end, vma.pgoff))).toThrow(
      /without the mmap lock/,
    );
  });

  it('is missed by an invariant if a reader keeps it', () => {
    const f = fixture();
    runToEnd(lockVmaUnderRcu(f.mm(), f.vma(0).start));
    expect(() => checkInvariants(f.kernel)).toThrow(/VMA .* is held/);
    runToEnd(vmaEndRead(f.vma(0)));
    checkInvariants(f.kernel);
  });
});

describe('a fault', () => {
  it('begins again with the mmap lock if it needs an anon_vma while a writer is inside', () => {
    const f = fixture();
    const { mmapLock } = f.mm();
    runToEnd(mmapWriteLock(f.mm()));
    const fault = userFault(f.kernel, f.mm(), f.vma(8).start, true);
    expect(stopAt(fault, 'tryRead', mmapLock).object).toBe(mmapLock);
    expect(stopAt(fault, 'releaseRead').object).toBe(f.vma(8).lock);
    expect(stopAt(fault, 'acquireRead').object).toBe(mmapLock);
    expect(f.vma(8).anonVma).toBeUndefined();
    runToEnd(mmapWriteUnlock(f.mm()));
    expect(runToEnd(fault)).toBe(0);
    expect(f.vma(8).anonVma).toBeDefined();
  });

  it('goes on beside a writer that has not locked its VMA', () => {
    const f = fixture();
    runToEnd(mmapWriteLock(f.mm()));
    runToEnd(vmaStartWrite(f.vma(8)));
    const fault = userFault(f.kernel, f.mm(), f.vma(0).start + 1, true);
    expect(runToEnd(fault)).toBe(0);
    const other = userFault(f.kernel, f.mm(), f.vma(8).start, false);
    expect(stopAt(other, 'acquireRead').object).toBe(f.mm().mmapLock);
    runToEnd(mmapWriteUnlock(f.mm()));
    expect(runToEnd(other)).toBe(0);
  });

  it('that is not permitted is told so without the mmap lock', () => {
    const f = fixture();
    f.run({ op: 'mprotect', p: 0, at: 0, n: 4, prot: 'r' });
    const { points, result } = pointsOf(userFault(f.kernel, f.mm(), f.vma(0).start, true));
    expect(result).toBe(VM_FAULT_SIGSEGV);
    expect(points.some(({ object }) => object === f.mm().mmapLock)).toBe(false);
  });
});

describe('a stack', () => {
  it('grows once when two threads touch the page below it', () => {
    const f = new RmapFixture();
    f.run({ op: 'mmap', p: 0, at: 500, n: 4, prot: 'rw', flags: 'private|anon|growsdown' });
    f.write(500, 1, 7);
    const below = f.vma(500).start - 1;
    const slow = userFault(f.kernel, f.mm(), below, true);
    stopAt(slow, 'acquireWrite', f.mm().mmapLock);
    expect(runToEnd(userFault(f.kernel, f.mm(), below, true))).toBe(0);
    expect(runToEnd(slow)).toBe(0);
    expect([f.vma(500).start, f.mm().rss[1]]).toEqual([below, 2]);
    checkInvariants(f.kernel);
  });

  it('that was unmapped while a thread waited to let it grow is a SIGSEGV', () => {
    const f = new RmapFixture();
    f.run({ op: 'mmap', p: 0, at: 500, n: 4, prot: 'rw', flags: 'private|anon|growsdown' });
    const below = f.vma(500).start - 1;
    const slow = userFault(f.kernel, f.mm(), below, true);
    stopAt(slow, 'acquireWrite', f.mm().mmapLock);
    f.run({ op: 'munmap', p: 0, at: 500, n: 4 });
    expect(runToEnd(slow)).toBe(VM_FAULT_SIGSEGV);
  });

  it('grows under the mmap lock for write only', () => {
    const f = new RmapFixture();
    f.run({ op: 'mmap', p: 0, at: 500, n: 4, prot: 'rw', flags: 'private|anon|growsdown' });
    const grow = expandDownwards(f.kernel, f.vma(500), f.vma(500).start - 1);
    expect(() => runToEnd(grow)).toThrow(/without the mmap lock/);
  });
});
