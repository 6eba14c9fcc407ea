import type { EventBatchBuilder } from '../batch_builder.js';
import type { EventBatch, EventKind } from '../event.js';
import { EVENT, EVENT_KIND_COUNT } from '../event.js';
import type { FieldRegistry } from '../field_registry.js';
import { inputError } from '../input_error.js';
import type { StringTable, WordTable } from '../tables.js';

const NS_PER_SECOND = 1e9;
const MOST_SECONDS = 1e12;
const MOST_TID = 2 ** 31 - 1;

/** Arguments of a system call, or fields of an event: cells a … f. */
export type Cells = readonly number[];

/** Where an importer puts events, and what it learns on the way. */
export class ImportSink {
  readonly strings: StringTable;
  readonly words: WordTable;
  readonly fields: FieldRegistry;
  /** Events by kind. */
  readonly counts = new Float64Array(EVENT_KIND_COUNT);
  /** Faults whose error code the text does not tell. */
  faultsWithoutCode = 0;
  /** Lines that mean nothing to the importer. */
  skippedLines = 0;
  /** Largest step back in time between two lines. */
  mostBackwardNs = 0;
  /** Events that were lost, −1 if their number is unknown. */
  lostEvents = 0;
  /** Names of the system calls that were seen. */
  readonly calls = new Set<string>();
  /** Seconds of the first event, as the text has them. */
  startSeconds = 0;
  startNs = 0;
  #isStarted = false;
  #lastNs = 0;
  readonly #builder: EventBatchBuilder;
  #full: EventBatch[] = [];

  constructor(
    builder: EventBatchBuilder,
    strings: StringTable,
    words: WordTable,
    fields: FieldRegistry,
  ) {
    this.#builder = builder;
    this.strings = strings;
    this.words = words;
    this.fields = fields;
  }

  /**
   * Time of a line in nanoseconds since the first one. Time never goes back: texts are cut to
   * microseconds and merged from CPUs, so the order of the lines counts.
   * @param fraction Digits behind the point of the seconds.
   */
  time(seconds: string, fraction: string): number {
    const whole = Number(seconds);
    const ns = Number(fraction.slice(0, 9).padEnd(9, '0'));
    if (!(whole >= 0 && whole < MOST_SECONDS)) throw inputError(`time of ${seconds} seconds`);
    if (!this.#isStarted) {
      this.#isStarted = true;
      this.startSeconds = whole;
      this.startNs = ns;
    }
    const timeNs = (whole - this.startSeconds) * NS_PER_SECOND + ns - this.startNs;
    if (timeNs < this.#lastNs) {
      this.mostBackwardNs = Math.max(this.mostBackwardNs, this.#lastNs - timeNs);
      return this.#lastNs;
    }
    this.#lastNs = timeNs;
    return timeNs;
  }

  /** Time of the line before. */
  get lastNs(): number {
    return this.#lastNs;
  }

  /** Adds an event. `text` is none if undefined. */
  push(
    kind: EventKind,
    timeNs: number,
    cpu: number,
    tid: number,
    text: string | undefined,
    cells: Cells = [],
  ): void {
    const [a, b, c, d, e, f] = cells;
    const row = text === undefined ? -1 : this.strings.intern(text);
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    if (this.#builder.isFull) this.#full.push(this.#builder.take());
    this.#builder.push(kind, timeNs, cpu, tid, row, a, b, c, d, e, f);
  }

  /** Hands out the batches that are full; with `isLast` also the one that is not. */
  takeBatches(isLast: boolean): EventBatch[] {
    const batches = this.#full;
    this.#full = [];
    if (isLast && this.#builder.rows > 0) batches.push(this.#builder.take());
    return batches;
  }

  pushFault(
    isKernel: boolean,
    timeNs: number,
    cpu: number,
    tid: number,
    cells: readonly [address: number, errorCode: number, ip: number],
  ): void {
    if (cells[1] < 0) this.faultsWithoutCode += 1;
    this.push(isKernel ? EVENT.faultKernel : EVENT.faultUser, timeNs, cpu, tid, undefined, cells);
  }

  pushCall(timeNs: number, cpu: number, tid: number, name: string, args: Cells): void {
    this.calls.add(name);
    this.push(EVENT.callEnter, timeNs, cpu, tid, name, args);
  }

  pushLost(timeNs: number, cpu: number, events: number): void {
    this.lostEvents = events < 0 || this.lostEvents < 0 ? -1 : this.lostEvents + events;
    this.push(EVENT.lost, timeNs, cpu, 0, undefined, [events]);
  }

  /** Cell of a number as texts have it: decimal, hexadecimal after 0x, negative. */
  cell(digits: string): number {
    if (/^-?\d{1,15}$/.test(digits)) return this.words.cellOf(BigInt(digits));
    if (/^0x[0-9a-f]{1,16}$/i.test(digits)) return this.hexCell(digits.slice(2));
    throw inputError(`expected a number, found ${JSON.stringify(digits.slice(0, 40))}`);
  }

  /** Cell of hexadecimal digits without 0x. */
  hexCell(digits: string): number {
    if (!/^[0-9a-f]{1,16}$/i.test(digits)) {
      throw inputError(`expected hexadecimal digits, found ${JSON.stringify(digits.slice(0, 40))}`);
    }
    const upper = digits.length > 8 ? parseInt(digits.slice(0, -8), 16) : 0;
    return this.words.cell(parseInt(digits.slice(-8), 16), upper);
  }

  tid(digits: string): number {
    const tid = Number(digits);
    if (Number.isInteger(tid) && tid >= 0 && tid <= MOST_TID) return tid;
    throw inputError(`expected a thread id, found ${JSON.stringify(digits.slice(0, 40))}`);
  }
}
