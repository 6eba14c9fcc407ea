/**
 * Secondary users of page tables (virtual machines, devices) that must hear of changes.
 * Nobody is registered unless a test or a driver model does it, and then nothing is called.
 */
import type { Kernel } from '../kernel.js';
import { RwSem, type Op } from '../op/prims.js';
import { EINTR } from '../errno.js';
import type { Mm } from '../vm/mm.js';
import { mmDropAllLocks, mmTakeAllLocks } from './mm_take_all_locks.js';

/** Why entries change. @kernel mmu_notifier_event */
export type NotifierEvent = 'clear' | 'protectionPage' | 'exclusive' | 'migrate';

/** Callbacks of one secondary user; pages are [start, end). @kernel mmu_notifier_ops */
export interface MmuNotifier {
  /** `owner` is who asks for an `exclusive` entry, undefined = the CPU. */
  rangeStart?(mm: Mm, start: number, end: number, event: NotifierEvent, owner?: unknown): void;
  rangeEnd?(mm: Mm, start: number, end: number, event: NotifierEvent): void;
  /** Tests and clears the user's own access bits. @kernel mmu_notifier_clear_young */
  clearYoung?(mm: Mm, start: number, end: number): boolean;
}

/** Who is registered with which mm. */
export class MmuNotifiers {
  private readonly byMm = new Map<Mm, MmuNotifier[]>();
  /** One taker of all locks of an mm at a time. @kernel mm_all_locks_mutex */
  readonly allLocksMutex = new RwSem('mm_all_locks_mutex');

  /** Nobody listens to any mm. */
  get isEmpty(): boolean {
    return this.byMm.size === 0;
  }

  /** Notifiers of an mm in order of registration. */
  of(mm: Mm): readonly MmuNotifier[] {
    return this.byMm.size === 0 ? NOBODY : (this.byMm.get(mm) ?? NOBODY);
  }

  add(mm: Mm, notifier: MmuNotifier): void {
    const list = this.byMm.get(mm);
    if (list === undefined) this.byMm.set(mm, [notifier]);
    else list.push(notifier);
  }

  remove(mm: Mm, notifier: MmuNotifier): void {
    const left = this.of(mm).filter((other) => other !== notifier);
    if (left.length === 0) this.byMm.delete(mm);
    else this.byMm.set(mm, left);
  }
}

const NOBODY: readonly MmuNotifier[] = [];

/**
 * Registers a secondary user while nobody can change or walk the mm's entries. The mmap lock is
 * held for write. Returns 0, or -EINTR if a signal came first. @kernel mmu_notifier_register
 */
export function* mmuNotifierRegister(
  kernel: Kernel,
  mm: Mm,
  notifier: MmuNotifier,
  isSignalled: () => boolean,
): Op<number> {
  const { allLocksMutex } = kernel.notifiers;
  if (!(yield* mmTakeAllLocks(mm, allLocksMutex, isSignalled))) return -EINTR;
  kernel.notifiers.add(mm, notifier);
  yield* mmDropAllLocks(mm, allLocksMutex);
  return 0;
}

/** @kernel mmu_notifier_invalidate_range_start */
export function notifyRangeStart(
  kernel: Kernel,
  mm: Mm,
  start: number,
  end: number,
  event: NotifierEvent,
  owner?: unknown,
): void {
  for (const notifier of kernel.notifiers.of(mm))
    notifier.rangeStart?.(mm, start, end, event, owner);
}

/** @kernel mmu_notifier_invalidate_range_end */
export function notifyRangeEnd(
  kernel: Kernel,
  mm: Mm,
  start: number,
  end: number,
  event: NotifierEvent,
): void {
  for (const notifier of kernel.notifiers.of(mm)) notifier.rangeEnd?.(mm, start, end, event);
}

/** Whether a secondary user accessed the pages since it was last asked. */
export function notifyClearYoung(kernel: Kernel, mm: Mm, start: number, end: number): boolean {
  if (kernel.notifiers.isEmpty) return false;
  let isYoung = false;
  for (const notifier of kernel.notifiers.of(mm)) {
    if (notifier.clearYoung?.(mm, start, end) === true) isYoung = true;
  }
  return isYoung;
}
