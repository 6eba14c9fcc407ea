import { EVENT, FAULT_ERROR, RSS_MEMBER, snapshotMark, type EventBatch } from '../trace/event.js';
import type { StringTable } from '../trace/tables.js';
import { CallRoles } from './call_roles.js';
import { pageOf } from './calls.js';
import { ALLOC_IN, STEP, StepQueue, type CallRecord } from './steps.js';
import { forgetFault, newThread, NO_PLACE, noteFrame, type ThreadState } from './thread_state.js';

const WAITING = 0;
const READY = 1;
const CANCELLED = 2;

/** A fault without a sign of its outcome holds back later steps for at most this long. */
const LONGEST_FAULT_NS = 100_000_000;
/** The same for a call that has taken its lock and not returned. */
const MOST_BEHIND_CALL = 1_048_576;

/**
 * Puts events into the order in which they took effect (recorder.md §3, §7): a VMA call where it
 * took the mmap lock, a fault where its page was allocated, a fork where it let go of the parent's
 * lock, a discard at its first counter change. A step waits until its outcome is known; later ones
 * wait behind it.
 */
export class Lineariser {
  readonly queue = new StepQueue();
  private readonly roles: CallRoles;
  private readonly strings: StringTable;
  private readonly threads = new Map<number, ThreadState>();
  /** Some process has swap entries, so pages may be reclaimed. */
  private hasSwap = false;
  /** The recording tells of counters of anonymous pages. */
  private hasCounters = false;
  private lastTid = -1;
  private lastThread: ThreadState = newThread();

  constructor(strings: StringTable) {
    this.strings = strings;
    this.roles = new CallRoles(strings);
  }

  /**
   * Takes events in, from `row` on, until `end` or until a step that waits may have to wait no
   * longer. Returns the first row that was not taken.
   */
  pushRows(batch: EventBatch, row: number, end: number): number {
    for (let next = row; next < end; next += 1) {
      this.push(batch, next);
      if (this.mayBeOverdue(batch.timeNs[next] ?? 0)) return next + 1;
    }
    return end;
  }

  /** Whether `peek` might give up a step: none has stood longer than the first in the queue. */
  private mayBeOverdue(nowNs: number): boolean {
    const { queue } = this;
    if (queue.length >= MOST_BEHIND_CALL) return true;
    return nowNs - (queue.timeNs[queue.slot(queue.head)] ?? 0) > LONGEST_FAULT_NS;
  }

  /** Takes one event in. */
  push(batch: EventBatch, row: number): void {
    const tid = batch.tid[row] ?? 0;
    const thread = this.thread(tid);
    const kind = batch.kind[row];
    switch (kind) {
      case EVENT.faultUser:
      case EVENT.faultKernel: {
        this.settleFault(thread);
        this.endFault(thread, batch, row, tid);
        const slot = this.append(STEP.fault, WAITING, batch, row, tid);
        this.queue.d[slot] = NO_PLACE;
        this.queue.e[slot] = 0;
        thread.fault = this.queue.tail - 1;
        return;
      }
      case EVENT.pageAlloc:
        this.pushAlloc(thread, batch, row, tid);
        return;
      case EVENT.rss:
        this.pushRss(thread, batch, row, tid);
        return;
      case EVENT.pageFree:
        this.placeAdvice(thread, batch, row, tid);
        if (thread.pfn !== NO_PLACE && thread.pfn === batch.a[row]) {
          this.giveUp(thread, batch, row, tid);
        }
        this.append(STEP.free, READY, batch, row, tid);
        return;
      case EVENT.lock:
        // A fault from user space takes the lock to grow the stack, before it gets its page.
        if (this.isUserFault(thread)) return;
        this.settleFault(thread);
        if (thread.call !== undefined && thread.call.place === NO_PLACE) {
          if (thread.call.role === 'vma') this.placeCall(thread.call, batch, row, tid);
        }
        return;
      case EVENT.unlock:
        if (thread.call !== undefined && thread.call.role === 'fork') {
          if (thread.fork !== NO_PLACE) this.setState(thread.fork, CANCELLED);
          this.append(STEP.newTask, WAITING, batch, row, tid);
          thread.fork = this.queue.tail - 1;
        }
        return;
      case EVENT.callEnter:
        this.settleFault(thread);
        this.endFault(thread, batch, row, tid);
        this.enterCall(thread, batch, row);
        return;
      case EVENT.callExit:
        this.settleFault(thread);
        this.endFault(thread, batch, row, tid);
        this.exitCall(thread, batch, row, tid);
        return;
      case EVENT.other:
        // Reclaim inside of a fault writes pages before the fault gets its own.
        if (!this.hasSwap) this.settleFault(thread);
        this.pushRare(thread, batch, row, tid);
        return;
      default:
        this.settleFault(thread);
        this.pushRare(thread, batch, row, tid);
    }
  }

  /** No more events: everything that waits happens where it stands. */
  finish(): void {
    for (const thread of this.threads.values()) this.settleFault(thread);
    const { queue } = this;
    for (let at = queue.head; at < queue.tail; at += 1) {
      const slot = queue.slot(at);
      if (queue.state[slot] === WAITING) queue.state[slot] = CANCELLED;
    }
  }

  /** Slot of the next step that is ready, or −1. The caller takes it with `pop`. */
  peek(): number {
    const { queue } = this;
    while (queue.head < queue.tail) {
      const slot = queue.slot(queue.head);
      const state = queue.state[slot];
      if (state === READY) return slot;
      if (state === WAITING) {
        const isFault = queue.kind[slot] === STEP.fault;
        if (queue.length < MOST_BEHIND_CALL && !(isFault && this.isOverdue(slot))) return -1;
        // A thread that sleeps: its fault needed no page.
        queue.state[slot] = isFault ? READY : CANCELLED;
        continue;
      }
      queue.head += 1;
    }
    return -1;
  }

  /** Whether a waiting step is much older than the newest one. */
  private isOverdue(slot: number): boolean {
    const { queue } = this;
    const newest = queue.timeNs[queue.slot(queue.tail - 1)] ?? 0;
    return newest - (queue.timeNs[slot] ?? 0) > LONGEST_FAULT_NS;
  }

  pop(): void {
    this.queue.head += 1;
  }

  private thread(tid: number): ThreadState {
    if (tid === this.lastTid) return this.lastThread;
    let thread = this.threads.get(tid);
    if (thread === undefined) {
      thread = newThread();
      this.threads.set(tid, thread);
    }
    this.lastTid = tid;
    this.lastThread = thread;
    return thread;
  }

  private append(kind: number, state: number, batch: EventBatch, row: number, tid: number): number {
    const { queue } = this;
    const time = batch.timeNs[row] ?? 0;
    const slot = queue.push(kind, state, tid, time, batch.firstIndex + row);
    queue.a[slot] = batch.a[row] ?? 0;
    queue.b[slot] = batch.b[row] ?? 0;
    queue.c[slot] = batch.c[row] ?? 0;
    return slot;
  }

  private setState(sequence: number, state: number): void {
    if (sequence >= this.queue.head) this.queue.state[this.queue.slot(sequence)] = state;
  }

  private isUserFault({ fault }: ThreadState): boolean {
    const { queue } = this;
    if (fault === NO_PLACE || fault < queue.head) return false;
    return ((queue.b[queue.slot(fault)] ?? 0) & FAULT_ERROR.user) !== 0;
  }

  /** The thread went on without an allocation: its fault took effect where it was raised. */
  private settleFault(thread: ThreadState): void {
    if (thread.fault === NO_PLACE) return;
    if (thread.fault >= this.queue.head) {
      const slot = this.queue.slot(thread.fault);
      if (this.queue.state[slot] === WAITING) this.queue.state[slot] = READY;
    }
    thread.fault = NO_PLACE;
  }

  private pushAlloc(thread: ThreadState, batch: EventBatch, row: number, tid: number): void {
    const { queue } = this;
    if (thread.fault === NO_PLACE || thread.fault < queue.head) {
      thread.fault = NO_PLACE;
      if (thread.hasGivenUp) {
        this.pushFault(thread, batch, row, tid, batch.a[row] ?? 0);
        return;
      }
      this.placeAdvice(thread, batch, row, tid);
      const slot = this.append(STEP.alloc, READY, batch, row, tid);
      queue.d[slot] = allocatesIn(thread);
      return;
    }
    const old = queue.slot(thread.fault);
    thread.address = queue.a[old] ?? 0;
    thread.error = queue.b[old] ?? 0;
    thread.instructionPointer = queue.c[old] ?? 0;
    if (thread.fault === queue.tail - 1) {
      noteFrame(thread, batch.a[row] ?? 0, batch.b[row] ?? 0);
      queue.state[old] = READY;
      queue.d[old] = batch.a[row] ?? 0;
      queue.e[old] = batch.b[row] ?? 0;
    } else {
      queue.state[old] = CANCELLED;
      this.pushFault(thread, batch, row, tid, batch.a[row] ?? 0);
    }
    thread.fault = NO_PLACE;
  }

  /** The thread's fault took effect here, where it got a page or went on without one. */
  private pushFault(
    thread: ThreadState,
    batch: EventBatch,
    row: number,
    tid: number,
    pfn: number,
  ): void {
    const { queue } = this;
    const time = batch.timeNs[row] ?? 0;
    const slot = queue.push(STEP.fault, READY, tid, time, batch.firstIndex + row);
    const order = pfn === NO_PLACE ? 0 : (batch.b[row] ?? 0);
    noteFrame(thread, pfn, order);
    queue.a[slot] = thread.address;
    queue.b[slot] = thread.error;
    queue.c[slot] = thread.instructionPointer;
    queue.d[slot] = pfn;
    queue.e[slot] = order;
  }

  private pushRss(thread: ThreadState, batch: EventBatch, row: number, tid: number): void {
    const member = batch.c[row] ?? 0;
    if (member === RSS_MEMBER.swapEntries && batch.d[row] !== 0) this.hasSwap = true;
    // Reclaim inside of a fault changes these before the fault gets its page.
    const isReclaim =
      this.hasSwap && (member === RSS_MEMBER.anon || member === RSS_MEMBER.swapEntries);
    if (!isReclaim) this.settleFault(thread);
    const { call } = thread;
    const isOwn = batch.b[row] === 1;
    const isAnon = member === RSS_MEMBER.anon;
    this.placeAdvice(thread, batch, row, tid);
    if (call !== undefined && call.role === 'exec' && !isOwn && isAnon) {
      call.argumentPages = batch.d[row] ?? 0;
    }
    const slot = this.append(STEP.rss, READY, batch, row, tid);
    this.queue.d[slot] = batch.d[row] ?? 0;
    const isMapped = isOwn && isAnon && thread.pfn !== NO_PLACE;
    this.queue.e[slot] = isMapped ? 1 : 0;
    if (!isMapped) return;
    thread.pfn = NO_PLACE;
    this.hasCounters = true;
  }

  private enterCall(thread: ThreadState, batch: EventBatch, row: number): void {
    const name = batch.text[row] ?? -1;
    thread.fork = NO_PLACE;
    const role = this.roles.roleOf(name);
    if (role === 'none') {
      thread.call = undefined;
      return;
    }
    const args = [batch.a, batch.b, batch.c, batch.d, batch.e, batch.f].map((c) => c[row] ?? 0);
    thread.call = {
      name: this.strings.text(name),
      role,
      args,
      returned: 0,
      place: NO_PLACE,
      argumentPages: 0,
    };
  }

  private exitCall(thread: ThreadState, batch: EventBatch, row: number, tid: number): void {
    const { call } = thread;
    if (call === undefined || this.strings.text(batch.text[row] ?? -1) !== call.name) return;
    call.returned = batch.a[row] ?? 0;
    const role = call.role;
    if (role === 'fork' || role === 'exec') {
      if (thread.fork !== NO_PLACE) this.setState(thread.fork, CANCELLED);
    } else if (call.place === NO_PLACE) {
      this.placeCall(call, batch, row, tid);
      this.setState(call.place, READY);
    } else {
      this.setState(call.place, READY);
    }
    thread.call = undefined;
    thread.fork = NO_PLACE;
  }

  private placeCall(call: CallRecord, batch: EventBatch, row: number, tid: number): void {
    const slot = this.append(STEP.call, WAITING, batch, row, tid);
    this.queue.e[slot] = batch.kind[row] === EVENT.lock ? 1 : 0;
    this.queue.calls[slot] = call;
    call.place = this.queue.tail - 1;
  }

  /** An advice takes effect no later than its first allocation, free or counter change. */
  private placeAdvice(thread: ThreadState, batch: EventBatch, row: number, tid: number): void {
    const { call } = thread;
    if (call === undefined || call.role !== 'madvise' || call.place !== NO_PLACE) return;
    this.placeCall(call, batch, row, tid);
  }

  private pushRare(thread: ThreadState, batch: EventBatch, row: number, tid: number): void {
    const { queue } = this;
    const kind = batch.kind[row];
    const text = batch.text[row] ?? -1;
    if (kind === EVENT.newTask) {
      this.pushNewTask(thread, batch, row, tid, text);
    } else if (kind === EVENT.prepareExec) {
      const slot = this.append(STEP.prepareExec, READY, batch, row, tid);
      queue.text[slot] = text;
      queue.a[slot] = thread.call?.argumentPages ?? 0;
    } else if (kind === EVENT.exec) {
      queue.text[this.append(STEP.exec, READY, batch, row, tid)] = text;
    } else if (kind === EVENT.exit) {
      this.dropThread(batch.a[row] ?? 0);
      queue.text[this.append(STEP.exit, READY, batch, row, tid)] = text;
    } else if (kind === EVENT.rename) {
      queue.text[this.append(STEP.rename, READY, batch, row, tid)] = text;
    } else if (kind === EVENT.mark) {
      // The tasks are frozen: whatever is pending has happened.
      if (snapshotMark(this.strings.text(text)) !== undefined) {
        for (const other of this.threads.values()) this.settleFault(other);
        if (this.hasCounters) this.giveUpFaults(batch, row);
      }
      queue.text[this.append(STEP.mark, READY, batch, row, tid)] = text;
    } else if (kind === EVENT.lost) {
      this.append(STEP.lost, READY, batch, row, tid);
    } else if (kind === EVENT.other || kind === EVENT.mapped) {
      const step = kind === EVENT.other ? STEP.other : STEP.mapped;
      const slot = this.append(step, READY, batch, row, tid);
      queue.text[slot] = text;
      queue.d[slot] = batch.d[row] ?? 0;
      queue.e[slot] = batch.e[row] ?? 0;
      queue.f[slot] = batch.f[row] ?? 0;
    }
  }

  private pushNewTask(
    thread: ThreadState,
    batch: EventBatch,
    row: number,
    tid: number,
    text: number,
  ): void {
    const { queue } = this;
    if (thread.fork !== NO_PLACE && thread.fork >= queue.head) {
      const slot = queue.slot(thread.fork);
      queue.a[slot] = batch.a[row] ?? 0;
      queue.b[slot] = batch.b[row] ?? 0;
      queue.text[slot] = text;
      queue.state[slot] = READY;
    } else {
      queue.text[this.append(STEP.newTask, READY, batch, row, tid)] = text;
    }
    thread.fork = NO_PLACE;
  }

  /**
   * The thread does something else. If its fault let go of its page and got no other one, somebody
   * else has filled the place, as userfaultfd does; unless it is raised anew.
   */
  private endFault(thread: ThreadState, batch: EventBatch, row: number, tid: number): void {
    if (thread.hasGivenUp && !isRaisedAnew(thread, batch, row)) {
      this.pushFault(thread, batch, row, tid, NO_PLACE);
    }
    forgetFault(thread);
  }

  /**
   * A task that is to stand still while it waits in a fault leaves it first: the page that it got
   * is not mapped, as a counter would have told.
   */
  private giveUpFaults(batch: EventBatch, row: number): void {
    for (const [tid, thread] of this.threads) {
      if (thread.pfn !== NO_PLACE) this.giveUp(thread, batch, row, tid);
    }
  }

  /** The thread's fault lets go of its page; if it gets another one, it takes effect there. */
  private giveUp(thread: ThreadState, batch: EventBatch, row: number, tid: number): void {
    const slot = this.append(STEP.gaveUp, READY, batch, row, tid);
    this.queue.a[slot] = thread.pfn;
    this.queue.b[slot] = thread.order;
    thread.pfn = NO_PLACE;
    thread.hasGivenUp = true;
  }

  /** A thread that exits inside a call never returns from it. */
  private dropThread(tid: number): void {
    const thread = this.threads.get(tid);
    if (thread === undefined) return;
    if (thread.call !== undefined && thread.call.place !== NO_PLACE) {
      this.setState(thread.call.place, CANCELLED);
    }
    if (thread.fork !== NO_PLACE) this.setState(thread.fork, CANCELLED);
    this.threads.delete(tid);
    if (this.lastTid === tid) this.lastTid = -1;
  }
}

function allocatesIn({ isInFault, call }: ThreadState): number {
  if (isInFault) return ALLOC_IN.fault;
  return call !== undefined && call.place !== NO_PLACE ? ALLOC_IN.call : ALLOC_IN.nothing;
}

/** Whether the event is another fault at the page of the thread's last one. */
function isRaisedAnew(thread: ThreadState, batch: EventBatch, row: number): boolean {
  const kind = batch.kind[row];
  if (kind !== EVENT.faultUser && kind !== EVENT.faultKernel) return false;
  return pageOf(batch.a[row] ?? 0) === pageOf(thread.address);
}
