import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { mergeChangedRange, type MergeResult } from './vma_merge.js';
import { vmaStartWrite } from './vma_lock.js';
import { splitVma } from './vma_split.js';
import type { Vma } from './vma.js';

/**
 * Gives [start, end), inside the VMA, other flags: merged into a neighbour that has them already,
 * else in a VMA of its own (spec 97 §4.3). Returns the VMA that now contains the range, with its
 * flags set, or a negative errno. The mmap lock is held for write. @kernel vma_modify
 */
export function* modifyVmaFlags(
  kernel: Kernel,
  vma: Vma,
  start: number,
  end: number,
  flags: number,
): Op<MergeResult> {
  const pgoff = vma.pgoff + (start - vma.start);
  const merged = yield* mergeChangedRange(kernel, vma, {
    start,
    end,
    pgoff,
    flags,
    file: vma.file,
  });
  if (merged !== 0) return merged;
  if (start > vma.start) {
    const failed = yield* splitVma(kernel, vma, start, true);
    if (failed !== 0) return failed;
  }
  if (end < vma.end) {
    const failed = yield* splitVma(kernel, vma, end, false);
    if (failed !== 0) return failed;
  }
  yield* vmaStartWrite(vma);
  vma.flags = flags;
  return vma;
}
