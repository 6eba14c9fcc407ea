import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { PG_REFERENCED, PG_SWAPBACKED } from '../phys/page_flags.js';
import { folioReferenced } from '../rmap/folio_referenced.js';
import { VM_EXEC, VM_LOCKED } from '../vm/vm_flags.js';

/** What the use of a folio since the last look means for reclaim. @kernel folio_references */
export type References = 'reclaim' | 'reclaimClean' | 'keep' | 'activate' | 'locked';

/**
 * Judges a folio by the accessed bits of all its mappings, which are cleared (spec 40 §4).
 * @kernel folio_check_references
 */
export function* folioCheckReferences(kernel: Kernel, head: number, memcg: number): Op<References> {
  const { referenced, vmFlags } = yield* folioReferenced(kernel, head, true, memcg);
  return judgeReferences(kernel, head, referenced, vmFlags);
}

/**
 * Judges a folio by what was found. `locked`: a locked VMA maps it.
 *
 * @param referenced VMAs that used it, or -1 if they could not be asked.
 * @param vmFlags Flags of those VMAs.
 */
export function judgeReferences(
  kernel: Kernel,
  head: number,
  referenced: number,
  vmFlags: number,
): References {
  const { flags } = kernel.memory;
  const wasReferenced = (flags[head] & PG_REFERENCED) !== 0;
  flags[head] &= ~PG_REFERENCED;
  if ((vmFlags & VM_LOCKED) !== 0) return 'locked';
  if (referenced < 0) return 'keep';
  const isFile = (flags[head] & PG_SWAPBACKED) === 0;
  if (referenced > 0) {
    flags[head] |= PG_REFERENCED;
    if (wasReferenced || referenced > 1) return 'activate';
    return (vmFlags & VM_EXEC) !== 0 && isFile ? 'activate' : 'keep';
  }
  return wasReferenced && isFile ? 'reclaimClean' : 'reclaim';
}
