import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { anonVmaClone, anonVmaMerge } from '../rmap/anon_vma_clone.js';
import type { OpenFile } from './address_space.js';
import { unlinkFile } from './file_map.js';
import { findVmaIndex, type Mm } from './mm.js';
import { vmaStartWrite } from './vma_lock.js';
import { moveBoundary, setVmaRange } from './vma_range.js';
import type { Vma } from './vma.js';
import { VM_MAYBE_GUARD, VM_SOFTDIRTY, VM_SPECIAL } from './vm_flags.js';

/** Flags that may differ between merged VMAs. @kernel VM_IGNORE_MERGE VM_STICKY */
const MERGE_IGNORES = VM_SOFTDIRTY | VM_MAYBE_GUARD;

/** A range that wants to become part of a neighbour. @kernel vma_merge_struct */
export interface MergeRange {
  readonly start: number;
  readonly end: number;
  readonly pgoff: number;
  readonly flags: number;
  readonly file: OpenFile | undefined;
  /** The source itself grows over the range: no anon_vma goes to a neighbour. */
  readonly isGrowth?: boolean;
}

/**
 * What a merge answers: the VMA that now contains the range, 0 if there was nothing to merge with,
 * or -ENOMEM.
 */
export type MergeResult = Vma | number;

/** Whether the VMA came through fork: its chain leads to more than its own anon_vma. */
export function isForkChild(vma: Vma): boolean {
  return vma.anonVma !== undefined && vma.anonVmaChain.length !== 1;
}

/**
 * Spec 10 §9.3; `source` is where the range's pages come from, if anywhere. The anon_vmas of a fork
 * child are not copied to a neighbour; where it grows itself they need not be.
 */
function isAnonVmaCompatible(neighbour: Vma, range: MergeRange, source: Vma | undefined): boolean {
  const own = source?.anonVma;
  if (neighbour.anonVma === own) return true;
  if (neighbour.anonVma === undefined) {
    return source === undefined || range.isGrowth === true || !isForkChild(source);
  }
  return own === undefined && !isForkChild(neighbour);
}

/** @kernel is_mergeable_vma */
function isMergeable(neighbour: Vma, range: MergeRange, source: Vma | undefined): boolean {
  return (
    ((neighbour.flags ^ range.flags) & ~MERGE_IGNORES) === 0 &&
    (range.flags & VM_SPECIAL) === 0 &&
    neighbour.file === range.file &&
    isAnonVmaCompatible(neighbour, range, source)
  );
}

/** @kernel can_vma_merge_left */
function canMergeAfter(
  previous: Vma | undefined,
  range: MergeRange,
  source: Vma | undefined,
): previous is Vma {
  return (
    previous !== undefined &&
    previous.end === range.start &&
    previous.pgoff + (previous.end - previous.start) === range.pgoff &&
    isMergeable(previous, range, source)
  );
}

/** @kernel can_vma_merge_right */
function canMergeBefore(
  next: Vma | undefined,
  range: MergeRange,
  source: Vma | undefined,
): next is Vma {
  return (
    next !== undefined &&
    next.start === range.end &&
    range.pgoff + (range.end - range.start) === next.pgoff &&
    isMergeable(next, range, source)
  );
}

function canJoin(previous: Vma, next: Vma): boolean {
  const a = previous.anonVma;
  const b = next.anonVma;
  return a === b || a === undefined || b === undefined;
}

/**
 * Lets a neighbour grow over a range in which nothing is mapped: new memory (no `source`), or the
 * destination of an mremap (`source` is the VMA whose pages will be moved in). The neighbour then
 * gets the source's anon_vmas if it has none. The mmap lock is held for write.
 * @kernel vma_merge_new_range vma_merge_copied_range
 */
export function* mergeNewRange(
  kernel: Kernel,
  mm: Mm,
  range: MergeRange,
  source: Vma | undefined,
): Op<MergeResult> {
  const index = findVmaIndex(mm, range.start);
  const previous = mm.vmas[index - 1];
  const next = mm.vmas[index];
  if (canMergeAfter(previous, range, source)) {
    if (canMergeBefore(next, range, source) && canJoin(previous, next)) {
      return yield* growOverGap(kernel, previous, next, source);
    }
    yield* vmaStartWrite(previous);
    const failed = yield* dupAnonVma(kernel, previous, source);
    if (failed !== 0) return failed;
    yield* setVmaRange(kernel, previous, previous.start, range.end, previous.pgoff);
    keepSticky(previous, range.flags);
    return previous;
  }
  if (!canMergeBefore(next, range, source)) return 0;
  yield* vmaStartWrite(next);
  const failed = yield* dupAnonVma(kernel, next, source);
  if (failed !== 0) return failed;
  yield* setVmaRange(kernel, next, range.start, next.end, range.pgoff);
  keepSticky(next, range.flags);
  return next;
}

/** The gap between the two VMAs is filled: the lower one becomes both. */
function* growOverGap(
  kernel: Kernel,
  previous: Vma,
  next: Vma,
  source: Vma | undefined,
): Op<MergeResult> {
  yield* vmaStartWrite(previous);
  yield* vmaStartWrite(next);
  let failed = yield* dupAnonVma(kernel, previous, next);
  if (failed === 0) failed = yield* dupAnonVma(kernel, previous, source);
  if (failed !== 0) return failed;
  keepSticky(previous, next.flags | (source?.flags ?? 0));
  yield* setVmaRange(kernel, previous, previous.start, next.end, previous.pgoff);
  yield* removeMerged(kernel, previous, next);
  return previous;
}

/**
 * Growth of a VMA in place, by mremap: it absorbs the right neighbour too if the gap is filled
 * exactly and the neighbour fits. Works for a fork child as well, unlike new memory beside it.
 * Returns the VMA, or 0 if its kind cannot grow. @kernel vma_merge_extend
 */
export function* extendVma(kernel: Kernel, vma: Vma, end: number): Op<MergeResult> {
  const range = {
    start: vma.end,
    end,
    pgoff: vma.lastPgoff + 1,
    flags: vma.flags,
    file: vma.file,
    isGrowth: true,
  };
  return yield* mergeNewRange(kernel, vma.mm, range, vma);
}

/**
 * A range inside one VMA gets the flags of `range`: its neighbours take it over if they have these
 * flags already (spec 97 §4.3). Returns the VMA that then contains the range, 0 if no neighbour
 * fits, or -ENOMEM. The mmap lock is held for write. @kernel vma_merge_existing_range
 */
export function* mergeChangedRange(kernel: Kernel, vma: Vma, range: MergeRange): Op<MergeResult> {
  const startsHere = range.start === vma.start;
  const endsHere = range.end === vma.end;
  if (!startsHere && !endsHere) return 0;
  const { vmas } = vma.mm;
  const index = findVmaIndex(vma.mm, vma.start);
  const previous = startsHere ? vmas[index - 1] : undefined;
  const next = endsHere ? vmas[index + 1] : undefined;
  if (canMergeAfter(previous, range, vma)) {
    if (endsHere && canMergeBefore(next, range, vma) && canJoin(previous, next)) {
      return yield* joinThree(kernel, previous, vma, next, range.flags);
    }
    yield* vmaStartWrite(vma);
    yield* vmaStartWrite(previous);
    const failed = yield* dupAnonVma(kernel, previous, vma);
    if (failed !== 0) return failed;
    keepSticky(previous, range.flags);
    if (endsHere) {
      yield* setVmaRange(kernel, previous, previous.start, vma.end, previous.pgoff);
      yield* removeMerged(kernel, previous, vma);
    } else {
      yield* moveBoundary(kernel, previous, vma, range.end);
    }
    return previous;
  }
  if (!canMergeBefore(next, range, vma)) return 0;
  yield* vmaStartWrite(vma);
  yield* vmaStartWrite(next);
  const failed = yield* dupAnonVma(kernel, next, vma);
  if (failed !== 0) return failed;
  keepSticky(next, range.flags);
  if (startsHere) {
    yield* setVmaRange(kernel, next, vma.start, next.end, vma.pgoff);
    yield* removeMerged(kernel, next, vma);
  } else {
    yield* moveBoundary(kernel, vma, next, range.start);
  }
  return next;
}

/** The middle VMA and its right neighbour go into the left one. */
function* joinThree(
  kernel: Kernel,
  previous: Vma,
  middle: Vma,
  next: Vma,
  middleFlags: number,
): Op<MergeResult> {
  for (const vma of [middle, previous, next]) yield* vmaStartWrite(vma);
  const failed = yield* dupAnonVma(kernel, previous, next.anonVma === undefined ? middle : next);
  if (failed !== 0) return failed;
  keepSticky(previous, middleFlags | next.flags);
  yield* setVmaRange(kernel, previous, previous.start, next.end, previous.pgoff);
  yield* removeMerged(kernel, previous, middle);
  yield* removeMerged(kernel, previous, next);
  return previous;
}

/**
 * A VMA without anon_vma takes over that of the VMA whose pages it gets, so that the reverse
 * mapping still finds them (spec 10 §9.4). Returns 0 or -ENOMEM. @kernel dup_anon_vma
 */
function* dupAnonVma(kernel: Kernel, to: Vma, from: Vma | undefined): Op<number> {
  if (from?.anonVma === undefined || to.anonVma !== undefined) return 0;
  to.anonVma = from.anonVma;
  return yield* anonVmaClone(kernel, to, from);
}

/** Takes a VMA out of its mm whose range another one has taken over. */
function* removeMerged(kernel: Kernel, survivor: Vma, removed: Vma): Op<void> {
  const { vmas } = removed.mm;
  vmas.splice(vmas.indexOf(removed, findVmaIndex(removed.mm, survivor.start)), 1);
  removed.detached = true;
  yield* unlinkFile(kernel, removed);
  yield* anonVmaMerge(kernel, survivor, removed);
}

/** Some part may hold guard markers, so the whole may. */
function keepSticky(vma: Vma, flags: number): void {
  vma.flags |= flags & VM_MAYBE_GUARD;
}
