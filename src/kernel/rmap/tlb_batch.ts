/**
 * Deferred TLB flushes of reclaim and migration (spec 40 §10): many pages are unmapped, then all
 * CPUs are interrupted once. Until then other code that changes the same entries must know.
 */
import type { Kernel } from '../kernel.js';
import { PTE_DIRTY, PTE_PRESENT, PTE_PROTNONE } from '../pgtable/pte.js';
import type { Mm } from '../vm/mm.js';
import { TTU_BATCH_FLUSH } from './ttu_flags.js';

/** Both counters have 15 bits; above this they start over. @kernel TLB_FLUSH_BATCH_PENDING_LARGE */
const PENDING_LARGE = 0x3fff;

/** Flushes that one task owes. @kernel tlbflush_unmap_batch */
export class TlbBatch {
  /** @kernel tlbflush_unmap_batch.flush_required */
  isRequired = false;
  /** A dirty entry was removed: some CPU may still write to its page. */
  mayWrite = false;
  readonly mms = new Set<Mm>();
}

/** Whether the flush for an entry of this mm can wait for the end of the batch. */
export function shouldDeferFlush(
  kernel: Kernel,
  mm: Mm,
  unmapFlags: number,
  batch: TlbBatch | undefined,
): batch is TlbBatch {
  if ((unmapFlags & TTU_BATCH_FLUSH) === 0 || batch === undefined) return false;
  return kernel.tlb?.holds(mm) === true;
}

/** Notes a removed entry whose flush waits. @kernel set_tlb_ubc_flush_pending */
export function setFlushPending(batch: TlbBatch, mm: Mm, pteFlags: number): void {
  // An entry counts even if it is not young: reclaim clears that bit without a flush.
  if ((pteFlags & (PTE_PRESENT | PTE_PROTNONE)) !== PTE_PRESENT) return;
  batch.mms.add(mm);
  batch.isRequired = true;
  if (mm.tlbPending > PENDING_LARGE) {
    mm.tlbPending = 1;
    mm.tlbFlushed = 0;
  } else {
    mm.tlbPending += 1;
  }
  if ((pteFlags & PTE_DIRTY) !== 0) batch.mayWrite = true;
}

/** Does what the batch owes; before its pages are freed. @kernel try_to_unmap_flush */
export function tryToUnmapFlush(kernel: Kernel, batch: TlbBatch): void {
  if (!batch.isRequired) return;
  for (const mm of batch.mms) kernel.tlb?.flushMm(mm);
  batch.mms.clear();
  batch.isRequired = false;
  batch.mayWrite = false;
}

/** The same before a dirty page is written out. @kernel try_to_unmap_flush_dirty */
export function tryToUnmapFlushDirty(kernel: Kernel, batch: TlbBatch): void {
  if (batch.mayWrite) tryToUnmapFlush(kernel, batch);
}

/**
 * Flushes an mm for which some batch still waits, because the caller is about to rely on its
 * entries. The page-table lock is held. @kernel flush_tlb_batched_pending
 */
export function flushTlbBatchedPending(kernel: Kernel, mm: Mm): void {
  if (mm.tlbPending === mm.tlbFlushed) return;
  kernel.tlb?.flushMm(mm);
  mm.tlbFlushed = mm.tlbPending;
}
