import { PMD_ORDER } from '../../base/units.js';
import { removeCacheFolio } from '../file/page_cache.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioTrylock, folioUnlock } from '../phys/folio_lock.js';
import {
  folioMapcount,
  folioMaybeDmaPinned,
  folioMapping,
  folioOrder,
  folioPageCount,
  isAnonFolio,
  largeRow,
} from '../phys/folio.js';
import {
  PG_ACTIVE,
  PG_DIRTY,
  PG_HEAD,
  PG_MLOCKED,
  PG_PRIVATE,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  PG_WRITEBACK,
} from '../phys/page_flags.js';
import { tryToUnmapFlushDirty } from '../rmap/tlb_batch.js';
import { tryToUnmap } from '../rmap/try_to_unmap.js';
import { TTU_BATCH_FLUSH, TTU_SPLIT_HUGE_PMD, TTU_SYNC } from '../rmap/ttu_flags.js';
import { shmemWriteout } from '../swap/shmem_writeout.js';
import {
  deleteFromSwapCache,
  evictSmall,
  folioAllocSwap,
  folioFreeSwap,
  folioSwapEntry,
  noteEviction,
  writeToSlots,
} from '../swap/swap_cache.js';
import { isShmem } from '../vm/address_space.js';
import { folioCheckReferences, type References } from './references.js';
import type { ShrinkBatch } from './shrink_control.js';
import { splitIsolated } from './split_isolated.js';
import { noteFileEviction } from './workingset.js';

/**
 * `freed`: no references are left and the folio is to be freed. `again`: it was split, and its
 * first page is to be looked at anew. Otherwise it lives on: `kept` for now, `written` once it is
 * clean.
 */
export type Outcome = 'freed' | 'again' | 'kept' | 'written';

/** Reclaims one isolated folio if that is possible (spec 50 §9). */
export function* shrinkFolio(kernel: Kernel, head: number, batch: ShrinkBatch): Op<Outcome> {
  if (!(yield* folioTrylock(kernel, head))) return 'kept';
  const outcome: Outcome = yield* shrinkLocked(kernel, head, batch);
  if (outcome !== 'freed') yield* folioUnlock(kernel, head);
  return outcome;
}

function* shrinkLocked(kernel: Kernel, head: number, batch: ShrinkBatch): Op<Outcome> {
  const { flags } = kernel.memory;
  if ((flags[head] & PG_MLOCKED) !== 0) return activate(kernel, head, 'kept');
  if ((flags[head] & PG_WRITEBACK) !== 0) return 'kept';
  let references: References = 'reclaim';
  if (!batch.control.ignoresReferences) {
    references = yield* folioCheckReferences(kernel, head, batch.control.memcg);
    if (references === 'locked') return activate(kernel, head, 'kept');
    if (references === 'activate') return activate(kernel, head, 'kept');
    if (references === 'keep') return 'kept';
  }
  const wanted = PG_SWAPBACKED | PG_SWAPCACHE;
  if (isAnonFolio(kernel, head) && (flags[head] & wanted) === PG_SWAPBACKED) {
    const refused = yield* takeSlots(kernel, head, batch);
    if (refused !== undefined) return refused;
  }
  if (folioMapcount(kernel, head) > 0) {
    yield* tryToUnmap(kernel, head, unmapFlags(kernel, head), batch.tlb);
  }
  return yield* finishUnmapped(kernel, head, references, batch);
}

/** Frees a folio whose mappings should be gone by now, if nothing else holds it. */
export function* finishUnmapped(
  kernel: Kernel,
  head: number,
  references: References,
  batch: ShrinkBatch,
): Op<Outcome> {
  const { flags } = kernel.memory;
  if (folioMapcount(kernel, head) > 0) return activate(kernel, head, 'kept');
  if (folioMaybeDmaPinned(kernel, head)) return activate(kernel, head, 'kept');
  if (isSmallAndSwappable(kernel, head)) {
    tryToUnmapFlushDirty(kernel, batch.tlb);
    if (evictSmall(kernel, head, batch.control.memcg)) return 'freed';
  }
  if ((flags[head] & PG_DIRTY) !== 0) {
    const unfinished = yield* pageOut(kernel, head, references, batch);
    if (unfinished !== undefined) return unfinished;
  }
  return freeze(kernel, head, batch.control.memcg);
}

/** A folio that cannot or should not go becomes active, and gives its slots back if they are short. */
export function activate(kernel: Kernel, head: number, outcome: Outcome): Outcome {
  const { flags } = kernel.memory;
  const isMlocked = (flags[head] & PG_MLOCKED) !== 0;
  if ((flags[head] & PG_SWAPCACHE) !== 0 && (isMlocked || kernel.swap.isFull)) {
    folioFreeSwap(kernel, head);
  }
  if (!isMlocked) flags[head] |= PG_ACTIVE;
  return outcome;
}

/** Puts an anonymous folio into the swap cache. An outcome means that this failed or is not yet. */
function* takeSlots(kernel: Kernel, head: number, batch: ShrinkBatch): Op<Outcome | undefined> {
  const { memory, large } = kernel;
  if (folioMaybeDmaPinned(kernel, head)) return 'kept';
  const order = folioOrder(kernel, head);
  if (order > 0) {
    // Unmapping could not end well if somebody else holds the folio.
    const expected = folioMapcount(kernel, head) + 1;
    if (memory.refcount[head] !== expected) return activate(kernel, head, 'kept');
    if (large.partiallyMapped[largeRow(kernel, head)] !== 0) {
      return yield* splitOrActivate(kernel, head, batch);
    }
  }
  if (folioAllocSwap(kernel, head, order)) return undefined;
  if (order === 0) return activate(kernel, head, 'kept');
  return yield* splitOrActivate(kernel, head, batch);
}

function* splitOrActivate(kernel: Kernel, head: number, batch: ShrinkBatch): Op<Outcome> {
  if (yield* splitIsolated(kernel, head, batch.pending)) return 'again';
  return activate(kernel, head, 'kept');
}

function unmapFlags(kernel: Kernel, head: number): number {
  if ((kernel.memory.flags[head] & PG_HEAD) === 0) return TTU_BATCH_FLUSH;
  const isHuge = folioOrder(kernel, head) >= PMD_ORDER;
  return TTU_BATCH_FLUSH | TTU_SYNC | (isHuge ? TTU_SPLIT_HUGE_PMD : 0);
}

/** The common case: a dirty small folio of the swap cache that nobody else holds. */
function isSmallAndSwappable(kernel: Kernel, head: number): boolean {
  const { flags, refcount } = kernel.memory;
  const wanted = PG_SWAPCACHE | PG_DIRTY;
  return (flags[head] & (wanted | PG_HEAD)) === wanted && refcount[head] === 2;
}

/** Writes a dirty folio to swap. An outcome means that it cannot be freed now. @kernel pageout */
function* pageOut(
  kernel: Kernel,
  head: number,
  references: References,
  batch: ShrinkBatch,
): Op<Outcome | undefined> {
  const { memory } = kernel;
  const { flags, refcount } = memory;
  // Writing files back is the work of others.
  if ((flags[head] & PG_SWAPBACKED) === 0) return activate(kernel, head, 'kept');
  if (references === 'reclaimClean') return 'kept';
  if (refcount[head] !== 1 + folioPageCount(kernel, head)) return 'kept';
  tryToUnmapFlushDirty(kernel, batch.tlb);
  if ((flags[head] & PG_SWAPCACHE) === 0) {
    const mapping = folioMapping(kernel, head);
    if (mapping === undefined || !isShmem(mapping)) return 'kept';
    if (!shmemWriteout(kernel, mapping, head)) {
      if ((flags[head] & PG_HEAD) !== 0) return yield* splitOrActivate(kernel, head, batch);
      return activate(kernel, head, 'kept');
    }
  }
  // Without any entry that refers to the slots there is nothing to write.
  if (folioFreeSwap(kernel, head)) return 'kept';
  flags[head] &= ~PG_DIRTY;
  writeToSlots(kernel, head);
  const device = kernel.swap.deviceOf(folioSwapEntry(kernel, head));
  return device.isSynchronous ? undefined : 'written';
}

/**
 * Takes the last references of a clean unmapped folio if nobody else has one.
 * @kernel __remove_mapping @kernel folio_ref_freeze
 */
function freeze(kernel: Kernel, head: number, reclaimer: number): Outcome {
  const { flags, refcount } = kernel.memory;
  const pages = folioPageCount(kernel, head);
  const mapping = folioMapping(kernel, head);
  if ((flags[head] & PG_PRIVATE) !== 0) {
    flags[head] &= ~PG_PRIVATE;
    refcount[head] -= 1;
  }
  const isCached = (flags[head] & PG_SWAPCACHE) !== 0;
  const expected = isCached || mapping !== undefined ? 1 + pages : 1;
  if (refcount[head] !== expected) return 'kept';
  if (isCached) {
    noteEviction(kernel, head, reclaimer);
    deleteFromSwapCache(kernel, head);
  } else if (mapping !== undefined) {
    if (!isShmem(mapping)) noteFileEviction(kernel, mapping, head, reclaimer);
    removeCacheFolio(kernel, mapping, head);
  }
  refcount[head] = 0;
  return 'freed';
}
