/** Visits every VMA that may map a folio (spec 40 §3). */
import { fail } from '../../base/errors.js';
import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { KsmRmapItem } from '../ksm/ksm_types.js';
import { downRead, downReadTrylock, upRead, type Op } from '../op/prims.js';
import {
  folioAnonVma,
  folioMapping,
  folioPageCount,
  isAnonFolio,
  isKsmFolio,
} from '../phys/folio.js';
import type { AddressSpace } from '../vm/address_space.js';
import type { Vma } from '../vm/vma.js';
import type { AnonVma } from './anon_vma_types.js';
import type { LockControl } from './folio_anon_vma.js';
import { vmaAddress } from './vma_address.js';

/**
 * What a walk does at each VMA. Order per VMA: `invalidVma`, `rmapOne`, `done`.
 * @kernel rmap_walk_control
 */
export interface RmapWalkControl<Arg> extends LockControl {
  /** Handed to the callbacks. @kernel rmap_walk_control.arg */
  readonly arg: Arg;
  /**
   * Give up with `contended` set instead of waiting for the rmap lock.
   * @kernel rmap_walk_control.try_lock
   */
  readonly tryLock: boolean;
  /** Out: the lock was contended and nothing was visited. @kernel rmap_walk_control.contended */
  contended: boolean;
  /**
   * At page `vpn` the folio (NIL: a range without folio) would begin; false stops the walk.
   * @kernel rmap_walk_control.rmap_one
   */
  readonly rmapOne: (kernel: Kernel, head: number, vma: Vma, vpn: number, arg: Arg) => Op<boolean>;
  /** True stops the walk after a VMA. @kernel rmap_walk_control.done */
  readonly done?: (kernel: Kernel, head: number) => boolean;
  /**
   * Takes the place of the default lock, which does not ask whether the folio is mapped.
   * @kernel rmap_walk_control.anon_lock
   */
  readonly anonLock?: (
    kernel: Kernel,
    head: number,
    control: LockControl,
  ) => Op<AnonVma | undefined>;
  /** True skips a VMA. @kernel rmap_walk_control.invalid_vma */
  readonly invalidVma?: (vma: Vma, arg: Arg) => boolean;
}

/** Any page offset of an anon_vma tree is below this. */
const LAST_PGOFF = Number.MAX_SAFE_INTEGER;

/**
 * Walks the VMAs that may map the folio. File and KSM folios must be locked. @kernel rmap_walk
 */
export function* rmapWalk<Arg>(
  kernel: Kernel,
  head: number,
  control: RmapWalkControl<Arg>,
): Op<void> {
  if (isKsmFolio(kernel, head)) yield* rmapWalkKsm(kernel, head, control);
  else if (isAnonFolio(kernel, head)) yield* rmapWalkAnon(kernel, head, control, false);
  else yield* rmapWalkFile(kernel, head, control, false);
}

/** The same when the caller holds the rmap lock; not for KSM folios. @kernel rmap_walk_locked */
export function* rmapWalkLocked<Arg>(
  kernel: Kernel,
  head: number,
  control: RmapWalkControl<Arg>,
): Op<void> {
  if (isKsmFolio(kernel, head)) fail(`KSM folio ${head} is walked under one rmap lock`);
  if (isAnonFolio(kernel, head)) yield* rmapWalkAnon(kernel, head, control, true);
  else yield* rmapWalkFile(kernel, head, control, true);
}

/** Does one VMA's share of a walk; false stops the walk. */
function* visitVma<Arg>(
  kernel: Kernel,
  head: number,
  control: RmapWalkControl<Arg>,
  vma: Vma,
  vpn: number,
): Op<boolean> {
  kernel.work.rmapVmasVisited += 1;
  if (control.invalidVma?.(vma, control.arg) === true) return true;
  if (!(yield* control.rmapOne(kernel, head, vma, vpn, control.arg))) return false;
  return control.done?.(kernel, head) !== true;
}

/** @kernel rmap_walk_anon */
function* rmapWalkAnon<Arg>(
  kernel: Kernel,
  head: number,
  control: RmapWalkControl<Arg>,
  isLocked: boolean,
): Op<void> {
  const anonVma = isLocked ? folioAnonVma(kernel, head) : yield* lockAnonVma(kernel, head, control);
  if (anonVma === undefined) return;
  const { intervals, vmaOfRow } = kernel;
  const pageCount = folioPageCount(kernel, head);
  const first = kernel.memory.index[head];
  const last = first + pageCount - 1;
  let row = intervals.iterFirst(anonVma.tree, first, last);
  while (row !== NIL) {
    const vma = vmaOfRow[row];
    if (vma === undefined) fail(`row ${row} of an anon_vma tree has no VMA`);
    const vpn = vmaAddress(vma, first, pageCount);
    if (vpn < 0) fail(`folio ${head} is not in a VMA that its anon_vma's tree names`);
    if (!(yield* visitVma(kernel, head, control, vma, vpn))) break;
    row = intervals.iterNext(row, first, last);
  }
  if (!isLocked) yield* upRead(anonVma.root.rwsem);
}

/** @kernel rmap_walk_anon_lock */
function* lockAnonVma<Arg>(
  kernel: Kernel,
  head: number,
  control: RmapWalkControl<Arg>,
): Op<AnonVma | undefined> {
  if (control.anonLock !== undefined) return yield* control.anonLock(kernel, head, control);
  // Not the locking lookup: the folio of a migration is unmapped, and the caller keeps its
  // anon_vma alive.
  const anonVma = folioAnonVma(kernel, head);
  if (anonVma === undefined) return undefined;
  if (yield* downReadTrylock(anonVma.root.rwsem)) return anonVma;
  if (control.tryLock) {
    control.contended = true;
    return undefined;
  }
  yield* downRead(anonVma.root.rwsem);
  return anonVma;
}

/** @kernel rmap_walk_file */
function* rmapWalkFile<Arg>(
  kernel: Kernel,
  head: number,
  control: RmapWalkControl<Arg>,
  isLocked: boolean,
): Op<void> {
  const mapping = folioMapping(kernel, head);
  if (mapping === undefined) return;
  const first = kernel.memory.index[head];
  const pageCount = folioPageCount(kernel, head);
  yield* rmapWalkFileRange(kernel, head, mapping, first, pageCount, control, isLocked);
}

/**
 * Walks the VMAs that map file pages [pgoff, pgoff + pageCount). `head` is NIL for memory that is
 * mapped without a folio of that file. @kernel __rmap_walk_file
 */
export function* rmapWalkFileRange<Arg>(
  kernel: Kernel,
  head: number,
  mapping: AddressSpace,
  pgoff: number,
  pageCount: number,
  control: RmapWalkControl<Arg>,
  isLocked: boolean,
): Op<void> {
  const sem = mapping.iMmapRwsem;
  if (!isLocked && !(yield* downReadTrylock(sem))) {
    if (control.tryLock) {
      control.contended = true;
      return;
    }
    yield* downRead(sem);
  }
  const { intervals, vmaOfRow } = kernel;
  const last = pgoff + pageCount - 1;
  let row = intervals.iterFirst(mapping.iMmap, pgoff, last);
  while (row !== NIL) {
    const vma = vmaOfRow[row];
    if (vma === undefined) fail(`row ${row} of an i_mmap tree has no VMA`);
    const vpn = vmaAddress(vma, pgoff, pageCount);
    if (vpn < 0) fail(`file pages ${pgoff}+${pageCount} are not in a VMA that i_mmap names`);
    if (!(yield* visitVma(kernel, head, control, vma, vpn))) break;
    row = intervals.iterNext(row, pgoff, last);
  }
  if (!isLocked) yield* upRead(sem);
}

/**
 * KSM pages are found by address: first in the mms that were merged, then in those that got the
 * page from them through fork. @kernel rmap_walk_ksm
 */
export function* rmapWalkKsm<Arg>(
  kernel: Kernel,
  head: number,
  control: RmapWalkControl<Arg>,
): Op<void> {
  const node = kernel.ksm.nodes[kernel.memory.mapping[head] >> 2];
  // Half merged, or merged once and now in the swap cache only: nobody's items lead to it.
  if (node === undefined) return;
  const { items } = node;
  for (let pass = 0; pass < 2; pass += 1) {
    for (let i = items.length - 1; i >= 0; i -= 1) {
      const item = items[i];
      const { rwsem } = item.anonVma.root;
      if (!(yield* downReadTrylock(rwsem))) {
        if (control.tryLock) {
          control.contended = true;
          return;
        }
        yield* downRead(rwsem);
      }
      const goesOn = yield* walkKsmItem(kernel, head, control, item, item.anonVma, pass === 1);
      yield* upRead(rwsem);
      if (!goesOn) return;
    }
  }
}

/** Visits the VMAs of one item that contain its page; false stops the whole walk. */
function* walkKsmItem<Arg>(
  kernel: Kernel,
  head: number,
  control: RmapWalkControl<Arg>,
  item: KsmRmapItem,
  anonVma: AnonVma,
  seeksForks: boolean,
): Op<boolean> {
  const { intervals, vmaOfRow } = kernel;
  const { vpn } = item;
  let row = intervals.iterFirst(anonVma.tree, 0, LAST_PGOFF);
  while (row !== NIL) {
    const vma = vmaOfRow[row];
    if (vma === undefined) fail(`row ${row} of an anon_vma tree has no VMA`);
    const isWanted = vpn >= vma.start && vpn < vma.end && (vma.mm === item.mm) !== seeksForks;
    if (isWanted && !(yield* visitVma(kernel, head, control, vma, vpn))) return false;
    row = intervals.iterNext(row, 0, LAST_PGOFF);
  }
  return true;
}
