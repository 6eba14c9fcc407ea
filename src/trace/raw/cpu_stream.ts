import { basename } from 'node:path';
import { inputError } from '../input_error.js';
import { readChunks } from '../input_file.js';

const HEADER_BYTES = 16;
/** Bits of `commit`. */
const LENGTH_MASK = 0xfffff;
const COUNT_IS_STORED = 0x40000000;
const EVENTS_WERE_LOST = 0x80000000;

const PADDING = 29;
const TIME_EXTEND = 30;
const TIME_STAMP = 31;

/** Time unit of the upper part of an extended time. */
const EXTEND_NS = 2 ** 27;

/**
 * The events of one CPU, from its sub-buffers as `trace_pipe_raw` gives them. `advance` moves to
 * the next event within the pages that are in memory; `fill` loads more.
 */
export class CpuStream {
  readonly cpu: number;
  readonly path: string;
  /** Place of the current event's payload in `bytes`. */
  bytes: Buffer = Buffer.alloc(0);
  payloadStart = 0;
  payloadEnd = 0;
  /** Time of the current event, in nanoseconds since `epoch`. */
  timeNs = -1;
  /** Events that were lost just before the current one: −1 unknown, 0 none. */
  lostBefore = 0;
  readonly #pageBytes: number;
  readonly #chunks: AsyncGenerator<Buffer>;
  /** Bytes of the file before `bytes`. */
  #offset = 0;
  #page = 0;
  #at = 0;
  #dataEnd = 0;
  #epoch: bigint | undefined;

  constructor(path: string, cpu: number, pageBytes: number) {
    this.path = path;
    this.cpu = cpu;
    this.#pageBytes = pageBytes;
    this.#chunks = readChunks(path);
  }

  /** Byte offset of the current event in the uncompressed file. */
  get offset(): number {
    return this.#offset + this.payloadStart;
  }

  /** Time stamp of the first page, for a common epoch. Needs a filled stream. */
  get firstStamp(): bigint | undefined {
    return this.bytes.length === 0 ? undefined : this.bytes.readBigUInt64LE(0);
  }

  set epoch(epoch: bigint) {
    this.#epoch = epoch;
  }

  /** Loads the next whole pages; false at the end of the file. */
  async fill(): Promise<boolean> {
    const pageBytes = this.#pageBytes;
    const parts: Buffer[] = [];
    let gathered = 0;
    while (gathered === 0 || gathered % pageBytes !== 0) {
      const next = await this.#chunks.next();
      if (next.done === true) break;
      parts.push(next.value);
      gathered += next.value.length;
    }
    if (gathered % pageBytes !== 0) {
      const whole = this.#offset + this.bytes.length + gathered - (gathered % pageBytes);
      throw inputError(`${this.path} offset ${whole}: the file ends inside a page`);
    }
    this.#offset += this.bytes.length;
    this.bytes = Buffer.concat(parts);
    this.#page = 0;
    this.#at = 0;
    this.#dataEnd = 0;
    return gathered > 0;
  }

  async close(): Promise<void> {
    await this.#chunks.return(undefined);
  }

  /** Moves to the next event; false if the loaded pages have no more. */
  advance(): boolean {
    this.lostBefore = 0;
    for (;;) {
      while (this.#at + 4 <= this.#dataEnd) {
        if (this.#step()) return true;
      }
      if (this.#page === this.bytes.length) return false;
      this.#startPage();
    }
  }

  #startPage(): void {
    const { bytes } = this;
    const page = this.#page;
    const commit = bytes.readUInt32LE(page + 8);
    const length = commit & LENGTH_MASK;
    const most = this.#pageBytes - HEADER_BYTES;
    if (length > most) throw this.error(page, `page of ${length} bytes, expected ${most} at most`);
    this.#at = page + HEADER_BYTES;
    this.#dataEnd = this.#at + length;
    this.#page = page + this.#pageBytes;
    const stamp = bytes.readBigUInt64LE(page);
    // The kernel hands out no page without events, so it was never written: a hole in the file.
    if (stamp === 0n && commit === 0) throw this.error(page, 'a page of zeros, events are missing');
    const timeNs = Number(stamp - (this.#epoch ?? 0n));
    if (timeNs < this.timeNs) throw this.error(page, 'the page is older than the one before');
    this.timeNs = timeNs;
    if ((commit & EVENTS_WERE_LOST) === 0) return;
    const hasCount = (commit & COUNT_IS_STORED) !== 0 && this.#dataEnd + 8 <= this.#page;
    this.lostBefore = hasCount ? Number(bytes.readBigUInt64LE(this.#dataEnd)) : -1;
  }

  /** Reads one record; true if it is an event. */
  #step(): boolean {
    const { bytes } = this;
    const at = this.#at;
    const header = bytes.readUInt32LE(at);
    const type = header & 31;
    const delta = header >>> 5;
    if (type > 0 && type < PADDING) return this.#event(at + 4, at + 4 + type * 4, delta);
    if (type === PADDING && delta === 0) {
      this.#at = this.#dataEnd;
      return false;
    }
    if (at + 8 > this.#dataEnd) throw this.error(at, 'a record is cut off by the end of its page');
    const second = bytes.readUInt32LE(at + 4);
    switch (type) {
      case 0:
        if (second < 4) throw this.error(at, `event of ${second - 4} bytes`);
        return this.#event(at + 8, at + 4 + second, delta);
      case PADDING:
        this.timeNs += delta;
        this.#at = at + 4 + Math.max(second, 4);
        return false;
      case TIME_EXTEND:
        this.timeNs += delta + second * EXTEND_NS;
        break;
      case TIME_STAMP:
        this.#setTime(at, BigInt(second) * BigInt(EXTEND_NS) + BigInt(delta));
        break;
    }
    this.#at = at + 8;
    return false;
  }

  #event(start: number, end: number, delta: number): boolean {
    // The 8 common bytes are always there.
    if (end > this.#dataEnd || end - start < 8) {
      throw this.error(start, `event of ${end - start} bytes does not fit its page`);
    }
    this.timeNs += delta;
    this.payloadStart = start;
    this.payloadEnd = end;
    this.#at = end;
    return true;
  }

  /** An absolute time has 59 bits; the upper five are those of the time before. */
  #setTime(at: number, stamp: bigint): void {
    const epoch = this.#epoch ?? 0n;
    const upper = (BigInt(Math.max(this.timeNs, 0)) + epoch) & (0x1fn << 59n);
    const timeNs = Number((upper | stamp) - epoch);
    if (timeNs < this.timeNs) throw this.error(at, 'time goes backwards');
    this.timeNs = timeNs;
  }

  error(at: number, what: string): Error {
    return inputError(`${basename(this.path)} offset ${this.#offset + at}: ${what}`);
  }
}
