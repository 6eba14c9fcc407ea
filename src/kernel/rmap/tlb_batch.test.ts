import { describe, expect, it } from 'vitest';
import { UnmapFixture } from '../../../test/support/unmap_fixture.js';
import { PTE_DIRTY, PTE_PRESENT, PTE_PROTNONE, PTE_YOUNG } from '../pgtable/pte.js';
import {
  flushTlbBatchedPending,
  setFlushPending,
  shouldDeferFlush,
  TlbBatch,
  tryToUnmapFlush,
  tryToUnmapFlushDirty,
} from './tlb_batch.js';
import { TlbModel } from './tlb_model.js';
import { TTU_BATCH_FLUSH, TTU_SYNC } from './ttu_flags.js';

// @covers TTU_BATCH_FLUSH, try_to_unmap_flush, try_to_unmap_flush_dirty, set_tlb_ubc_flush_pending
// @covers flush_tlb_batched_pending, tlbflush_unmap_batch, tlbflush_unmap_batch.flush_required

/** Pages 16 … 19, to which CPUs have writable translations. */
class Cached extends UnmapFixture {
  readonly tlb = new TlbModel();
  readonly batch = new TlbBatch();

  constructor() {
    super();
    this.swapOn();
    this.map(16, 4);
    this.write(16, 4, 7);
    this.kernel.tlb = this.tlb;
    for (let at = 16; at < 20; at += 1) this.remember(at);
  }

  remember(at: number): void {
    this.tlb.remember(this.mm(), this.vpn(at), this.pfn(at), true);
  }

  isCached(at: number): boolean {
    return this.tlb.find(this.mm(), this.vpn(at)) !== undefined;
  }

  /** Unmaps a page into the batch; its flush waits. */
  unmapLater(at: number): void {
    const head = this.folio(at);
    this.takeSlots(head);
    if (this.unmap(head, TTU_BATCH_FLUSH, this.batch) !== 0) throw new Error('still mapped');
  }
}

describe('the flush of an unmapped page', () => {
  it('waits with TTU_BATCH_FLUSH, until the batch is flushed at once', () => {
    const f = new Cached();
    f.unmapLater(16);
    f.unmapLater(17);
    expect([f.isCached(16), f.isCached(17), f.mm().tlbPending]).toEqual([true, true, 2]);
    expect([f.batch.isRequired, f.batch.mayWrite, [...f.batch.mms]]).toEqual([
      true,
      true,
      [f.mm()],
    ]);
    tryToUnmapFlush(f.kernel, f.batch);
    expect([f.isCached(16), f.isCached(17), f.tlb.findStale(f.kernel)]).toEqual([false, false, []]);
    expect([f.batch.isRequired, f.batch.mayWrite, f.batch.mms.size]).toEqual([false, false, 0]);
  });

  it('happens at once without it, for this page only', () => {
    const f = new Cached();
    f.takeSlots(f.folio(16));
    f.unmap(f.folio(16), TTU_SYNC, f.batch);
    expect([f.isCached(16), f.isCached(17), f.batch.isRequired]).toEqual([false, true, false]);
  });

  it('happens at once if no other CPU knows the mm: interrupts would cost nothing', () => {
    const f = new Cached();
    expect(shouldDeferFlush(f.kernel, f.mm(), TTU_BATCH_FLUSH, f.batch)).toBe(true);
    expect(shouldDeferFlush(f.kernel, f.mm(), TTU_BATCH_FLUSH, undefined)).toBe(false);
    f.tlb.flushMm(f.mm());
    expect(shouldDeferFlush(f.kernel, f.mm(), TTU_BATCH_FLUSH, f.batch)).toBe(false);
    f.kernel.tlb = undefined;
    expect(shouldDeferFlush(f.kernel, f.mm(), TTU_BATCH_FLUSH, f.batch)).toBe(false);
  });

  it('is owed for several mms', () => {
    const f = new Cached();
    f.fork(0, 1);
    // Fork took the parent's translations away, for they allowed writes.
    expect(f.isCached(16)).toBe(false);
    f.read(16, 1, 0);
    f.read(16, 1, 1);
    f.unmapLater(16);
    expect([...f.batch.mms]).toEqual([f.mm(0), f.mm(1)]);
    tryToUnmapFlush(f.kernel, f.batch);
    expect([f.tlb.holds(f.mm(0)), f.tlb.holds(f.mm(1))]).toEqual([false, false]);
  });

  it('is needed by every accessible entry: reclaim clears the accessed bit without a flush', () => {
    const f = new Cached();
    setFlushPending(f.batch, f.mm(), PTE_PRESENT | PTE_PROTNONE | PTE_YOUNG | PTE_DIRTY);
    expect([f.batch.isRequired, f.mm().tlbPending]).toEqual([false, 0]);
    setFlushPending(f.batch, f.mm(), PTE_PRESENT);
    expect([f.batch.isRequired, f.batch.mayWrite, f.mm().tlbPending]).toEqual([true, false, 1]);
    f.run({ op: 'clear_refs', p: 0, what: 'all' });
    expect(f.text(16)).toBe('wd e');
    const pfn = f.pfn(16);
    f.run({ op: 'madvise', p: 0, at: 16, n: 1, advice: 'pageout' });
    expect([f.text(16), f.isCached(16), f.kernel.memory.refcount[pfn]]).toEqual([
      'swap e',
      false,
      0,
    ]);
  });

  it('comes before a page is written out if a CPU could still write to it', () => {
    const f = new Cached();
    setFlushPending(f.batch, f.mm(), PTE_PRESENT | PTE_YOUNG);
    tryToUnmapFlushDirty(f.kernel, f.batch);
    expect([f.batch.isRequired, f.isCached(16)]).toEqual([true, true]);
    setFlushPending(f.batch, f.mm(), PTE_PRESENT | PTE_YOUNG | PTE_DIRTY);
    tryToUnmapFlushDirty(f.kernel, f.batch);
    expect([f.batch.isRequired, f.isCached(16)]).toEqual([false, false]);
  });

  it('comes before reclaim frees the page', () => {
    const f = new Cached();
    const pfn = f.pfn(16);
    f.run({ op: 'madvise', p: 0, at: 16, n: 1, advice: 'pageout' });
    expect([f.text(16), f.kernel.memory.refcount[pfn]]).toEqual(['swap e', 0]);
    expect([f.isCached(16), f.tlb.findStale(f.kernel), f.broken]).toEqual([false, [], []]);
  });
});

describe('a flush that a batch still owes', () => {
  it.each([
    ['munmap', (f: Cached) => void f.run({ op: 'munmap', p: 0, at: 18, n: 1 })],
    ['exit', (f: Cached) => void f.run({ op: 'exit', p: 0 })],
    ['mprotect', (f: Cached) => void f.run({ op: 'mprotect', p: 0, at: 18, n: 1, prot: 'r' })],
    [
      'mremap',
      (f: Cached) =>
        void f.run({ op: 'mremap', p: 0, at: 18, n: 1, new: 1, to: 64, flags: 'fixed' }),
    ],
    [
      'madvise(free)',
      (f: Cached) => void f.run({ op: 'madvise', p: 0, at: 18, n: 1, advice: 'free' }),
    ],
    [
      'madvise(dontneed)',
      (f: Cached) => void f.run({ op: 'madvise', p: 0, at: 18, n: 1, advice: 'dontneed' }),
    ],
  ])('is done by %s, which relies on the entries', (_name, act) => {
    const f = new Cached();
    const mm = f.mm();
    f.unmapLater(16);
    expect([f.isCached(16), mm.tlbPending, mm.tlbFlushed]).toEqual([true, 1, 0]);
    const vpn = f.vpn(16);
    act(f);
    expect([f.tlb.find(mm, vpn), mm.tlbFlushed]).toEqual([undefined, 1]);
  });

  it('is done once', () => {
    const f = new Cached();
    f.unmapLater(16);
    flushTlbBatchedPending(f.kernel, f.mm());
    f.remember(17);
    flushTlbBatchedPending(f.kernel, f.mm());
    expect(f.isCached(17)).toBe(true);
    f.unmapLater(18);
    flushTlbBatchedPending(f.kernel, f.mm());
    expect([f.isCached(17), f.mm().tlbFlushed]).toEqual([false, 2]);
  });

  it('is not forgotten when its counter starts over', () => {
    const f = new Cached();
    const mm = f.mm();
    const used = PTE_PRESENT | PTE_YOUNG;
    for (let i = 0; i < 0x4000; i += 1) setFlushPending(f.batch, mm, used);
    flushTlbBatchedPending(f.kernel, mm);
    expect([mm.tlbPending, mm.tlbFlushed]).toEqual([0x4000, 0x4000]);
    f.remember(16);
    setFlushPending(f.batch, mm, used);
    expect([mm.tlbPending, mm.tlbFlushed]).toEqual([1, 0]);
    flushTlbBatchedPending(f.kernel, mm);
    expect([f.isCached(16), mm.tlbFlushed]).toEqual([false, 1]);
  });
});
