import type { Machine } from '../kernel/machine.js';
import type { Mm } from '../kernel/vm/mm.js';
import { anonymousPageAt, NO_PAGE } from './mapped_page.js';
import type { PageIdentity } from './page_identity.js';

/** Pages that a call has filled, from `next` on, whose frames are about to be named. */
interface FilledRange {
  mm: Mm;
  next: number;
  end: number;
}

/** An allocation that is not the first of a fault. */
interface PendingAllocation {
  readonly tid: number;
  readonly pfn: number;
}

/** Frames for the arguments of one exec; a longer list is not kept. */
const MOST_ARGUMENT_FRAMES = 4096;

/**
 * Allocations outside of faults: pages that a call fills (populate, mlock), the argument pages of
 * exec, and pages that the kernel adds through GUP, whose address no event tells.
 */
export class UnplacedPages {
  private readonly machine: Machine;
  private readonly identity: PageIdentity;
  private readonly ranges = new Map<number, FilledRange>();
  private pending: PendingAllocation | undefined = undefined;
  /** Frames of unknown address: a later snapshot finds them. */
  private readonly frames = new Set<number>();
  /** Frames that the present exec of each thread got for its new address space. */
  private readonly argumentFrames = new Map<number, number[]>();

  constructor(machine: Machine, identity: PageIdentity) {
    this.machine = machine;
    this.identity = identity;
  }

  /** A call by the thread is done: pages that it filled are allocated next. */
  callFills(tid: number, mm: Mm, from: number, end: number): void {
    const known = this.ranges.get(tid);
    if (known === undefined) {
      this.ranges.set(tid, { mm, next: from, end });
      return;
    }
    known.mm = mm;
    known.next = from;
    known.end = end;
  }

  /** An allocation outside of faults; the counter change that follows tells whose page it is. */
  allocated(tid: number, pfn: number, order: number, isInCall: boolean): void {
    this.pending = undefined;
    const range = isInCall ? this.ranges.get(tid) : undefined;
    if (range !== undefined && this.nameNext(range, pfn, order)) return;
    this.pending = { tid, pfn };
  }

  /**
   * A counter of anonymous pages rose or fell in the thread. Returns whether this means that a page
   * of unknown address was added.
   */
  counted(tid: number, isOwn: boolean, isWanted: boolean): boolean {
    const { pending } = this;
    if (pending === undefined || pending.tid !== tid) return false;
    this.pending = undefined;
    if (isWanted) this.frames.add(pending.pfn);
    if (!isOwn) this.addArgument(tid, pending.pfn);
    return true;
  }

  /** A fault came in between. */
  faulted(): void {
    this.pending = undefined;
  }

  freed(pfn: number): void {
    if (this.frames.size > 0) this.frames.delete(pfn);
  }

  has(pfn: number): boolean {
    return this.frames.has(pfn);
  }

  /** All are found, or lost for good. */
  clear(): void {
    this.frames.clear();
  }

  /** The argument pages lie below the top of the stack; the first was the highest. */
  nameArguments(tid: number, mm: Mm, top: number, count: number): void {
    const frames = this.argumentFrames.get(tid)?.slice(-count) ?? [];
    for (const [i, pfn] of frames.entries()) {
      this.frames.delete(pfn);
      const page = anonymousPageAt(this.machine.kernel, mm, top - 1 - i);
      if (page !== NO_PAGE) this.identity.bind(page, pfn);
    }
    this.argumentFrames.delete(tid);
  }

  forgetThread(tid: number): void {
    this.ranges.delete(tid);
    this.argumentFrames.delete(tid);
    if (this.pending?.tid === tid) this.pending = undefined;
  }

  private addArgument(tid: number, pfn: number): void {
    const frames = this.argumentFrames.get(tid);
    if (frames === undefined) this.argumentFrames.set(tid, [pfn]);
    else if (frames.length < MOST_ARGUMENT_FRAMES) frames.push(pfn);
  }

  /** Gives the next page without a name in the range, or its block, the frames of an allocation. */
  private nameNext(range: FilledRange, pfn: number, order: number): boolean {
    const { kernel } = this.machine;
    const { pageTables } = kernel;
    const { mm, end } = range;
    while (range.next < end) {
      const vpn = range.next;
      if (pageTables.findPmd(mm.pgd, vpn) < 0) {
        range.next = pageTables.skipHole(mm.pgd, vpn, end);
        continue;
      }
      range.next += 1;
      const page = anonymousPageAt(kernel, mm, vpn);
      if (page === NO_PAGE || this.identity.isKnown(page)) continue;
      if (order === 0) this.identity.bind(page, pfn);
      else range.next = this.identity.bindBlock(mm, vpn, pfn, order);
      return true;
    }
    return false;
  }
}
