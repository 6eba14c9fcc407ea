import { closeSync, constants, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { errorCodeOf } from './processes.js';
import type { RecordingDirectory } from './recording_directory.js';
import type { TraceInstance } from './tracefs.js';

/** Bytes of one sub-buffer of the ring: what one read returns. */
export const RING_PAGE_BYTES = 4096;

const HEADER_BYTES = 16;
const LENGTH_MASK = 0xf_ffff;
/** The number of lost events follows the data as a 64-bit word. */
const HAS_LOST_COUNT = 0x4000_0000;
const CHUNK_BYTES = 1 << 20;
/** A chunk is written after this time even if it is not full: what a killed recorder loses. */
const CHUNK_AGE_MS = 1000;
/** Unwritten data at which reading pauses; the ring then overwrites, and counts, its oldest. */
const MOST_PENDING_BYTES = 256 << 20;

/**
 * Blanks a page behind its data: the kernel hands pages out with the remains of older contents.
 * Returns the bytes of data.
 */
export function blankTail(page: Uint8Array): number {
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const commit = view.getUint32(8, true);
  const length = Math.min(commit & LENGTH_MASK, page.length - HEADER_BYTES);
  const end = HEADER_BYTES + length + ((commit & HAS_LOST_COUNT) !== 0 ? 8 : 0);
  page.fill(0, Math.min(end, page.length));
  return length;
}

interface CpuStream {
  readonly cpu: number;
  readonly fd: number;
  readonly file: string;
  chunk: Uint8Array;
  filledBytes: number;
  chunkStartMs: number;
}

/**
 * Copies the ring buffers of an instance to `cpuN.raw.gz`, undecoded. Each chunk becomes a gzip
 * member of its own, so that the file is readable up to the last chunk whatever happens.
 */
export class RingDrain {
  readonly #streams: CpuStream[];
  readonly #directory: RecordingDirectory;
  #pendingBytes = 0;
  /** Raw bytes taken from the kernel so far. */
  rawBytes = 0;
  /** Largest amount found waiting at one time: how close the buffers came to overflow. */
  mostWaitingBytes = 0;
  /** Clock reading of the earliest page, in ns; undefined before the first. */
  firstTimeNs: number | undefined;

  constructor(instance: TraceInstance, directory: RecordingDirectory) {
    this.#directory = directory;
    this.#streams = instance.cpus().map((cpu) => ({
      cpu,
      fd: openSync(
        join(instance.path, `per_cpu/cpu${cpu}/trace_pipe_raw`),
        constants.O_RDONLY | constants.O_NONBLOCK,
      ),
      file: `cpu${cpu}.raw.gz`,
      chunk: new Uint8Array(CHUNK_BYTES),
      filledBytes: 0,
      chunkStartMs: 0,
    }));
    for (const stream of this.#streams) directory.createStream(stream.file);
  }

  get cpuCount(): number {
    return this.#streams.length;
  }

  /** Takes what is waiting; returns its size in bytes of data. */
  drain(): number {
    if (this.#pendingBytes > MOST_PENDING_BYTES) return 0;
    let dataBytes = 0;
    for (const stream of this.#streams) dataBytes += this.#drainCpu(stream);
    this.mostWaitingBytes = Math.max(this.mostWaitingBytes, dataBytes);
    const now = performance.now();
    for (const stream of this.#streams) {
      if (stream.filledBytes > 0 && now - stream.chunkStartMs > CHUNK_AGE_MS) this.#flush(stream);
    }
    return dataBytes;
  }

  /** Takes the rest, closes the ring buffers and waits until everything is on disk. */
  async finish(): Promise<void> {
    while (this.drain() > 0) await this.#settled();
    for (const stream of this.#streams) this.#flush(stream);
    this.close();
    await this.#settled();
  }

  /** Closes the ring buffers without reading on. */
  close(): void {
    for (const { fd } of this.#streams.splice(0)) closeSync(fd);
  }

  #drainCpu(stream: CpuStream): number {
    let dataBytes = 0;
    for (;;) {
      const page = stream.chunk.subarray(stream.filledBytes, stream.filledBytes + RING_PAGE_BYTES);
      let got: number;
      try {
        got = readSync(stream.fd, page);
      } catch (error) {
        if (errorCodeOf(error) === 'EAGAIN') return dataBytes;
        throw error;
      }
      if (got === 0) return dataBytes;
      this.#noteTime(page);
      dataBytes += blankTail(page);
      this.rawBytes += RING_PAGE_BYTES;
      if (stream.filledBytes === 0) stream.chunkStartMs = performance.now();
      stream.filledBytes += RING_PAGE_BYTES;
      if (stream.filledBytes === CHUNK_BYTES) this.#flush(stream);
    }
  }

  #noteTime(page: Uint8Array): void {
    const view = new DataView(page.buffer, page.byteOffset, HEADER_BYTES);
    const timeNs = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
    if (this.firstTimeNs === undefined || timeNs < this.firstTimeNs) this.firstTimeNs = timeNs;
  }

  #flush(stream: CpuStream): void {
    if (stream.filledBytes === 0) return;
    const bytes = stream.chunk.subarray(0, stream.filledBytes);
    stream.chunk = new Uint8Array(CHUNK_BYTES);
    stream.filledBytes = 0;
    this.#pendingBytes += bytes.length;
    void this.#directory.append(stream.file, bytes).finally(() => {
      this.#pendingBytes -= bytes.length;
    });
  }

  async #settled(): Promise<void> {
    await this.#directory.settled();
  }
}
