import type { EventBatch, EventKind } from './event.js';

export const DEFAULT_BATCH_LENGTH = 65_536;

/** Columns of a batch under construction. */
type Columns = {
  -readonly [K in Exclude<keyof EventBatch, 'firstIndex' | 'length'>]: EventBatch[K];
};

/** Empty columns: all cells 0. */
export function allocateColumns(length: number): Columns {
  return {
    kind: new Uint8Array(length),
    timeNs: new Float64Array(length),
    cpu: new Uint16Array(length),
    tid: new Int32Array(length),
    text: new Int32Array(length),
    a: new Float64Array(length),
    b: new Float64Array(length),
    c: new Float64Array(length),
    d: new Float64Array(length),
    e: new Float64Array(length),
    f: new Float64Array(length),
  };
}

/** Collects events row by row into batches of fixed capacity. */
export class EventBatchBuilder {
  readonly capacity: number;
  #columns: Columns;
  #rows = 0;
  #taken = 0;
  #lastTimeNs = 0;

  constructor(capacity: number = DEFAULT_BATCH_LENGTH) {
    this.capacity = capacity;
    this.#columns = allocateColumns(capacity);
  }

  /** Events in the batch under construction. */
  get rows(): number {
    return this.#rows;
  }

  /** Events pushed so far, over all batches. */
  get events(): number {
    return this.#taken + this.#rows;
  }

  get isFull(): boolean {
    return this.#rows === this.capacity;
  }

  /** Time of the event pushed last. */
  get lastTimeNs(): number {
    return this.#lastTimeNs;
  }

  /** Adds one event; meaning of the cells: see `EventBatch`. The batch must not be full. */
  push(
    kind: EventKind,
    timeNs: number,
    cpu: number,
    tid: number,
    text: number,
    a = 0,
    b = 0,
    c = 0,
    d = 0,
    e = 0,
    f = 0,
  ): void {
    const row = this.#rows;
    const columns = this.#columns;
    columns.kind[row] = kind;
    columns.timeNs[row] = timeNs;
    columns.cpu[row] = cpu;
    columns.tid[row] = tid;
    columns.text[row] = text;
    columns.a[row] = a;
    columns.b[row] = b;
    columns.c[row] = c;
    columns.d[row] = d;
    columns.e[row] = e;
    columns.f[row] = f;
    this.#lastTimeNs = timeNs;
    this.#rows = row + 1;
  }

  /** Hands out the batch and starts the next one. */
  take(): EventBatch {
    const length = this.#rows;
    const full = this.#columns;
    const firstIndex = this.#taken;
    this.#taken += length;
    this.#rows = 0;
    this.#columns = allocateColumns(this.capacity);
    return { firstIndex, length, ...(length === this.capacity ? full : shorten(full, length)) };
  }
}

function shorten(columns: Columns, length: number): Columns {
  return {
    kind: columns.kind.subarray(0, length),
    timeNs: columns.timeNs.subarray(0, length),
    cpu: columns.cpu.subarray(0, length),
    tid: columns.tid.subarray(0, length),
    text: columns.text.subarray(0, length),
    a: columns.a.subarray(0, length),
    b: columns.b.subarray(0, length),
    c: columns.c.subarray(0, length),
    d: columns.d.subarray(0, length),
    e: columns.e.subarray(0, length),
    f: columns.f.subarray(0, length),
  };
}
