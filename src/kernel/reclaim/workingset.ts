/** What is remembered of an evicted folio, and what that means when it comes back (spec 98 §6.7). */
import type { Kernel } from '../kernel.js';
import { PG_ACTIVE, PG_WORKINGSET } from '../phys/page_flags.js';
import type { AddressSpace } from '../vm/address_space.js';

/** Bits of a note. It was not its control group that was reclaimed. */
export const NOTE_EVICTED = 2;
/** It was in the working set. */
export const NOTE_WORKINGSET = 4;

/**
 * The note of a folio with these flags that is evicted now, by reclaim of the control group
 * `reclaimer` (0: of no group, whoever the folio is charged to). @kernel workingset_eviction
 */
export function evictionNote(flags: number, reclaimer: number): number {
  // A group is so small that nothing comes back within its working set.
  const evicted = reclaimer === 0 ? NOTE_EVICTED : 0;
  return (flags & PG_WORKINGSET) === 0 ? evicted : evicted | NOTE_WORKINGSET;
}

/**
 * Flags that a folio gets which comes back: a refault within the working set of the machine makes
 * it active at once. @kernel workingset_refault
 */
export function refaultFlags(note: number): number {
  if ((note & NOTE_EVICTED) === 0) return 0;
  return (note & NOTE_WORKINGSET) === 0 ? PG_ACTIVE : PG_ACTIVE | PG_WORKINGSET;
}

/** Remembers that a folio is taken from the cache of a disk file. */
export function noteFileEviction(
  kernel: Kernel,
  mapping: AddressSpace,
  head: number,
  reclaimer: number,
): void {
  const note = evictionNote(kernel.memory.flags[head], reclaimer);
  if (note !== 0) mapping.evicted.set(kernel.memory.index[head], note);
}

/** A folio comes into the cache of a file. */
export function noteFileRefault(
  kernel: Kernel,
  mapping: AddressSpace,
  head: number,
  index: number,
): void {
  const note = mapping.evicted.get(index);
  if (note === undefined) return;
  kernel.memory.flags[head] |= refaultFlags(note);
  mapping.evicted.delete(index);
}
