import type { CallRole } from './call_roles.js';

/** Kinds of steps that the lineariser hands to the driver, in the order in which they happened. */
export const STEP = {
  /** a: address, b: error code, c: instruction pointer, d: pfn that was allocated or −1, e: its order. */
  fault: 0,
  /** A system call that returned: `call` has it. a: the mm that it locked if e is 1. */
  call: 1,
  /** a: child tid, b: clone flags, text: comm. */
  newTask: 2,
  /** text: file, a: anonymous pages of arguments and environment. */
  prepareExec: 3,
  /** text: file, a: tid, b: tid before. */
  exec: 4,
  /** a: tid, b: last thread of its process (−1 unknown). */
  exit: 5,
  rename: 6,
  /** a: mm id, b: 1 if of the running task, c: member, d: pages, e: 1 if its fault has mapped a page. */
  rss: 7,
  /** A page that is not the first of a fault. a: pfn, b: order, c: gfp flags, d: `ALLOC_IN`. */
  alloc: 8,
  /** a: pfn, b: order. */
  free: 9,
  mark: 10,
  other: 11,
  lost: 12,
  mapped: 13,
  /** The thread's fault has not mapped the page it got. a: pfn, b: order. */
  gaveUp: 14,
} as const;

/** What the thread was in when it allocated a page. */
export const ALLOC_IN = { nothing: 0, fault: 1, call: 2 } as const;

/** A system call between its entry and its exit. */
export interface CallRecord {
  readonly name: string;
  readonly role: CallRole;
  /** Arguments in ABI order, words. */
  readonly args: readonly number[];
  /** Value returned, −errno as a number. */
  returned: number;
  /** Sequence number of the step that stands for it, or −1 while it has no place. */
  place: number;
  /** exec: anonymous pages of the new mm before the point of no return. */
  argumentPages: number;
}

/** Sequence of steps as columns: a ring that grows when a step at its head must wait. */
export class StepQueue {
  kind = new Uint8Array(1024);
  /** 0 waits, 1 ready, 2 cancelled. */
  state = new Uint8Array(1024);
  tid = new Int32Array(1024);
  text = new Int32Array(1024);
  timeNs = new Float64Array(1024);
  eventIndex = new Float64Array(1024);
  a = new Float64Array(1024);
  b = new Float64Array(1024);
  c = new Float64Array(1024);
  d = new Float64Array(1024);
  e = new Float64Array(1024);
  f = new Float64Array(1024);
  /** Calls by slot; undefined for other steps. */
  calls: Array<CallRecord | undefined> = new Array<CallRecord | undefined>(1024).fill(undefined);
  head = 0;
  tail = 0;

  /** Slot of a sequence number. */
  slot(sequence: number): number {
    return sequence & (this.kind.length - 1);
  }

  get length(): number {
    return this.tail - this.head;
  }

  /** Appends an empty step and returns its slot; its sequence number is `tail − 1`. */
  push(kind: number, state: number, tid: number, timeNs: number, eventIndex: number): number {
    if (this.length === this.kind.length) this.grow();
    const slot = this.tail & (this.kind.length - 1);
    this.tail += 1;
    this.kind[slot] = kind;
    this.state[slot] = state;
    this.tid[slot] = tid;
    this.text[slot] = -1;
    this.timeNs[slot] = timeNs;
    this.eventIndex[slot] = eventIndex;
    this.calls[slot] = undefined;
    return slot;
  }

  private grow(): void {
    const { head } = this;
    const old = this.kind.length;
    const length = old * 2;
    const calls = new Array<CallRecord | undefined>(length).fill(undefined);
    for (let at = head; at < head + old; at += 1) {
      calls[at & (length - 1)] = this.calls[at & (old - 1)];
    }
    this.calls = calls;
    this.kind = moved(this.kind, new Uint8Array(length), head);
    this.state = moved(this.state, new Uint8Array(length), head);
    this.tid = moved(this.tid, new Int32Array(length), head);
    this.text = moved(this.text, new Int32Array(length), head);
    this.timeNs = moved(this.timeNs, new Float64Array(length), head);
    this.eventIndex = moved(this.eventIndex, new Float64Array(length), head);
    this.a = moved(this.a, new Float64Array(length), head);
    this.b = moved(this.b, new Float64Array(length), head);
    this.c = moved(this.c, new Float64Array(length), head);
    this.d = moved(this.d, new Float64Array(length), head);
    this.e = moved(this.e, new Float64Array(length), head);
    this.f = moved(this.f, new Float64Array(length), head);
  }
}

interface RingColumn<T> {
  readonly length: number;
  set(from: T, at: number): void;
  subarray(from: number, to: number): T;
}

/** Moves a full ring whose first step is number `head` to a ring of twice the length. */
function moved<T extends RingColumn<T>>(from: T, to: T, head: number): T {
  const first = head & (from.length - 1);
  const start = head & (to.length - 1);
  to.set(from.subarray(first, from.length), start);
  to.set(from.subarray(0, first), (start + from.length - first) & (to.length - 1));
  return to;
}
