import { ENOMEM } from '../errno.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { anonVmaClone } from '../rmap/anon_vma_clone.js';
import { linkFile } from './file_map.js';
import { mergeNewRange } from './vma_merge.js';
import { duplicateVma, insertVma } from './vma_split.js';
import { isAnonymous, type Vma } from './vma.js';

/** Where a moved range lives now. */
export interface CopiedVma {
  /** The VMA that contains the destination. */
  readonly vma: Vma;
  /** The VMA that contains the source: another one if the destination swallowed it. */
  readonly source: Vma;
  /**
   * Whether walkers could visit the destination before the source and so miss an entry that moves
   * meanwhile; then the reverse-mapping locks are held while entries move (spec 10 §9.6).
   */
  readonly needRmapLocks: boolean;
}

/**
 * Makes the destination of an mremap: a neighbour of it grows, or a new VMA is made, connected to
 * the source's anon_vmas. Nothing is mapped at the destination; the mmap lock is held for write.
 *
 * @param at First page of the source range, inside `vma`.
 * @param lengthPages Length of the destination.
 * @returns Undefined when memory is short.
 * @kernel copy_vma
 */
export function* copyVma(
  kernel: Kernel,
  vma: Vma,
  at: number,
  to: number,
  lengthPages: number,
): Op<CopiedVma | undefined> {
  // Folios know their page offset, so it travels with them; without any it can be the usual one.
  const isUntouched = isAnonymous(vma) && vma.anonVma === undefined;
  const pgoff = isUntouched ? to : vma.pgoff + (at - vma.start);
  const range = { start: to, end: to + lengthPages, pgoff, flags: vma.flags, file: vma.file };
  const merged = yield* mergeNewRange(kernel, vma.mm, range, vma);
  if (merged === -ENOMEM) return undefined;
  if (typeof merged !== 'number') {
    const source = vma.detached ? merged : vma;
    return { vma: merged, source, needRmapLocks: merged.pgoff <= source.pgoff };
  }
  if (kernel.allocationFails()) return undefined;
  const copy = duplicateVma(vma, vma.mm);
  copy.start = range.start;
  copy.end = range.end;
  copy.pgoff = pgoff;
  if ((yield* anonVmaClone(kernel, copy, vma)) !== 0) return undefined;
  yield* linkFile(kernel, copy);
  insertVma(copy);
  return { vma: copy, source: vma, needRmapLocks: false };
}
