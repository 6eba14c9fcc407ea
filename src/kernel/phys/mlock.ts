import type { Kernel } from '../kernel.js';
import type { Vma } from '../vm/vma.js';
import { VM_LOCKED, VM_SPECIAL } from '../vm/vm_flags.js';
import { folioPut } from './folio.js';
import { PG_ACTIVE, PG_HEAD, PG_MLOCKED, PG_UNEVICTABLE } from './page_flags.js';

/** Events that a batch holds. @kernel PAGEVEC_SIZE */
const MLOCK_BATCH_LENGTH = 31;

/**
 * Marks a folio that is mapped in a locked VMA: mlocked at once, unevictable at the next drain.
 * Callers have checked that the whole folio is mapped. @kernel mlock_vma_folio
 */
export function mlockVmaFolio(kernel: Kernel, head: number, vma: Vma): void {
  if ((vma.flags & (VM_LOCKED | VM_SPECIAL)) === VM_LOCKED) mlockFolio(kernel, head);
}

/** Takes back one lock of a folio whose mapping leaves a locked VMA. @kernel munlock_vma_folio */
export function munlockVmaFolio(kernel: Kernel, head: number, vma: Vma): void {
  if ((vma.flags & (VM_LOCKED | VM_SPECIAL)) === VM_LOCKED) munlockFolio(kernel, head);
}

/** @kernel mlock_folio */
export function mlockFolio(kernel: Kernel, head: number): void {
  kernel.memory.flags[head] |= PG_MLOCKED;
  putOff(kernel, head, 1);
}

/** @kernel munlock_folio */
export function munlockFolio(kernel: Kernel, head: number): void {
  putOff(kernel, head, 0);
}

/**
 * Until the batch is full. A large folio is never put off: it takes what is pending along, so that
 * no reference stays behind.
 */
function putOff(kernel: Kernel, head: number, isLock: 0 | 1): void {
  const { events } = kernel.mlockBatch;
  kernel.memory.refcount[head] += 1;
  events.push(head * 2 + isLock);
  const isLarge = (kernel.memory.flags[head] & PG_HEAD) !== 0;
  if (isLarge || events.length === MLOCK_BATCH_LENGTH) drainMlock(kernel);
}

/** A new anonymous folio enters the LRU lists. @kernel folio_add_lru_vma */
export function folioAddLruVma(kernel: Kernel, head: number, vma: Vma): void {
  kernel.lru.add(head);
  if ((vma.flags & (VM_LOCKED | VM_SPECIAL)) === VM_LOCKED) mlockFolio(kernel, head);
}

/**
 * Applies the pending events after a walk took an entry out of a locked VMA: the unlock event holds
 * a reference, and the callers of walks look whether anybody else has one.
 */
export function drainMlockOf(kernel: Kernel, vma: Vma): void {
  if ((vma.flags & VM_LOCKED) !== 0) drainMlock(kernel);
}

/** Applies the pending events in order and drops their references. @kernel mlock_drain_local */
export function drainMlock(kernel: Kernel): void {
  const { events } = kernel.mlockBatch;
  if (events.length === 0) return;
  const { flags, previous } = kernel.memory;
  for (const event of events) {
    const head = Math.floor(event / 2);
    if (event % 2 === 1) {
      if ((flags[head] & PG_MLOCKED) !== 0) {
        if ((flags[head] & PG_UNEVICTABLE) !== 0) {
          previous[head] += 1;
        } else {
          kernel.lru.change(head, PG_UNEVICTABLE, PG_ACTIVE);
          previous[head] = 1;
        }
      }
    } else if ((flags[head] & PG_UNEVICTABLE) === 0) {
      flags[head] &= ~PG_MLOCKED;
    } else {
      previous[head] -= 1;
      if (previous[head] <= 0) kernel.lru.change(head, 0, PG_MLOCKED | PG_UNEVICTABLE);
    }
  }
  const heads = events.map((event) => Math.floor(event / 2));
  events.length = 0;
  for (const head of heads) folioPut(kernel, head);
}
