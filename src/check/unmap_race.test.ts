import { describe, expect, it } from 'vitest';
import { stopAt } from '../../test/support/interleave.js';
import { UnmapFixture } from '../../test/support/unmap_fixture.js';
import { runToEnd } from '../kernel/op/prims.js';
import { folioMapcount, folioPut } from '../kernel/phys/folio.js';
import { folioRemoveRmapPmd, folioRemoveRmapPtes } from '../kernel/rmap/folio_rmap.js';
import { makeDeviceExclusive } from '../kernel/rmap/make_device_exclusive.js';
import { pageVmaMappedWalk, PageVmaMappedWalk } from '../kernel/rmap/page_vma_mapped.js';
import { tryToUnmap } from '../kernel/rmap/try_to_unmap.js';
import { TTU_SYNC } from '../kernel/rmap/ttu_flags.js';

// @covers try_to_unmap, TTU_SYNC, page_vma_mapped_walk, PVMW_SYNC, make_device_exclusive

/** One page in the swap cache, to which the caller has a reference. */
function swappable(): UnmapFixture {
  const f = new UnmapFixture();
  f.swapOn();
  f.map(16, 1);
  f.write(16, 1, 7);
  f.takeSlots(f.folio(16));
  return f;
}

/** The entry of a page while another CPU changes it: cleared, its lock held. */
class Change {
  private readonly f: UnmapFixture;
  private readonly entry: number;
  private readonly flags: number;
  readonly pfn: number;

  constructor(f: UnmapFixture, at: number) {
    this.f = f;
    this.entry = f.entry(at);
    this.pfn = f.pfn(at);
    this.flags = f.kernel.pageTables.flags[this.entry];
    f.kernel.pageTables.flags[this.entry] = 0;
    f.mm().pageTableLock.writers = 1;
  }

  /** It was a change of protection. */
  putBack(): void {
    this.f.kernel.pageTables.flags[this.entry] = this.flags;
    this.f.mm().pageTableLock.writers = 0;
  }

  /** It was a zap. */
  remove(isHuge = false): void {
    const { kernel } = this.f;
    if (isHuge) folioRemoveRmapPmd(kernel, this.pfn, this.f.vma(512));
    else folioRemoveRmapPtes(kernel, this.pfn, this.pfn, 1, this.f.vma(16));
    folioPut(kernel, this.pfn);
    this.f.mm().pageTableLock.writers = 0;
  }
}

describe('an unmap while another CPU changes the entry', () => {
  it('misses an entry that is cleared for a moment', () => {
    const f = swappable();
    const change = new Change(f, 16);
    runToEnd(tryToUnmap(f.kernel, change.pfn, 0));
    change.putBack();
    expect([folioMapcount(f.kernel, change.pfn), f.text(16)]).toEqual([1, 'wdy e']);
  });

  it('waits for it with TTU_SYNC', () => {
    const f = swappable();
    const change = new Change(f, 16);
    const task = tryToUnmap(f.kernel, change.pfn, TTU_SYNC);
    stopAt(task, 'acquireWrite', f.mm().pageTableLock);
    change.putBack();
    runToEnd(task);
    expect([folioMapcount(f.kernel, change.pfn), f.text(16)]).toEqual([0, 'swap e']);
  });

  it('knows the true mapcount after TTU_SYNC has waited for a zap', () => {
    const f = swappable();
    const change = new Change(f, 16);
    const hasty = tryToUnmap(f.kernel, change.pfn, 0);
    runToEnd(hasty);
    expect(folioMapcount(f.kernel, change.pfn)).toBe(1);
    const task = tryToUnmap(f.kernel, change.pfn, TTU_SYNC);
    stopAt(task, 'acquireWrite', f.mm().pageTableLock);
    change.remove();
    runToEnd(task);
    expect([folioMapcount(f.kernel, change.pfn), f.text(16)]).toEqual([0, 'none']);
  });

  it('waits for the zap of a huge entry too', () => {
    const f = new UnmapFixture();
    f.swapOn();
    f.useHugePages();
    f.map(512, 512);
    f.write(512, 512, 7);
    f.takeSlots(f.folio(512));
    const change = new Change(f, 512);
    runToEnd(tryToUnmap(f.kernel, change.pfn, 0));
    expect(folioMapcount(f.kernel, change.pfn)).toBe(1);
    const task = tryToUnmap(f.kernel, change.pfn, TTU_SYNC);
    stopAt(task, 'acquireWrite', f.mm().pageTableLock);
    change.remove(true);
    runToEnd(task);
    expect(folioMapcount(f.kernel, change.pfn)).toBe(0);
  });
});

describe('a walk of page tables', () => {
  function walkOf(f: UnmapFixture, at: number): PageVmaMappedWalk {
    const walk = new PageVmaMappedWalk();
    walk.beginFolio(f.kernel, f.folio(at), f.vma(at), f.vpn(at), 0);
    return walk;
  }

  it('looks again when the table went away before it had the lock', () => {
    const f = new UnmapFixture();
    f.map(512, 512);
    f.write(600, 1, 7);
    const walk = walkOf(f, 600);
    const task = pageVmaMappedWalk(f.kernel, walk);
    stopAt(task, 'acquireWrite', f.mm().pageTableLock);
    f.run({ op: 'mremap', p: 0, at: 512, n: 512, new: 512, to: 1024, flags: 'fixed' });
    expect([runToEnd(task), f.mm().pageTableLock.writers]).toEqual([false, 0]);
    expect(f.text(1112)).toBe('wdy e');
  });

  it('looks again when a huge page was collapsed there before it had the lock', () => {
    const f = new UnmapFixture();
    f.map(512, 512);
    f.write(512, 512, 7);
    const walk = walkOf(f, 600);
    const task = pageVmaMappedWalk(f.kernel, walk);
    stopAt(task, 'acquireWrite', f.mm().pageTableLock);
    f.run({ op: 'madvise', p: 0, at: 512, n: 512, advice: 'collapse' });
    expect(f.page(600)).toMatchObject({ level: 'pmd' });
    expect([runToEnd(task), f.mm().pageTableLock.writers]).toEqual([false, 0]);
  });

  it('does not take an entry that changed before it had the lock', () => {
    const f = new UnmapFixture();
    f.map(16, 2);
    f.write(16, 2, 7);
    const walk = walkOf(f, 16);
    const task = pageVmaMappedWalk(f.kernel, walk);
    stopAt(task, 'acquireWrite', f.mm().pageTableLock);
    f.run({ op: 'madvise', p: 0, at: 16, n: 1, advice: 'dontneed' });
    expect([runToEnd(task), f.mm().pageTableLock.writers]).toEqual([false, 0]);
  });
});

describe('making a page exclusive to a device', () => {
  it('starts over when the entry was changed before it had the lock', () => {
    const f = new UnmapFixture();
    f.map(16, 1);
    f.write(16, 1, 7);
    const first = f.pfn(16);
    const task = makeDeviceExclusive(f.kernel, f.mm(), f.vpn(16), undefined);
    stopAt(task, 'acquireWrite', f.mm().pageTableLock);
    f.fork(0, 1);
    expect(f.text(16)).toBe('dy');
    const pfn = runToEnd(task);
    expect([pfn === first, f.text(16), f.payload(16)]).toEqual([false, 'device x', pfn]);
    // The page of the first round is the child's alone, unlocked and without a reference too many.
    expect([f.pfn(16, 1), f.kernel.memory.refcount[first]]).toEqual([first, 1]);
  });
});
