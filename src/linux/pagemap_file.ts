import { closeSync, openSync, readSync } from 'node:fs';
import { ENTRY_BYTES } from './page_rows.js';
import type { PageRowsBuilder } from './page_rows.js';

const CHUNK_ENTRIES = 8192;

/** The buffer that pagemaps are read through; one serves many files. */
export class PagemapBuffer {
  readonly words = new Uint32Array(CHUNK_ENTRIES * 2);
  readonly bytes = new Uint8Array(this.words.buffer);
  /** The same words with a sign: V8 makes an object of a number from 2^31 on. */
  readonly signed = new Int32Array(this.words.buffer);
  /** Entries read in its lifetime, holes included. */
  entriesRead = 0;
}

/**
 * /proc/PID/pagemap of one process. Opening needs the right to trace the process; without
 * CAP_SYS_ADMIN the frames read as 0.
 */
export class PagemapFile {
  readonly #fd: number;
  readonly #buffer: PagemapBuffer;

  constructor(pid: number, buffer: PagemapBuffer) {
    this.#fd = openSync(`/proc/${pid}/pagemap`, 'r');
    this.#buffer = buffer;
  }

  /**
   * Reads the pages from `startVpn` up to `endVpn` into `rows`. Returns false if the address space
   * ended before: the process is gone. `isEnough` is asked after each chunk and may stop early.
   */
  readRange(
    startVpn: number,
    endVpn: number,
    rows: PageRowsBuilder,
    isEnough?: () => boolean,
  ): boolean {
    const { words, bytes } = this.#buffer;
    for (let vpn = startVpn; vpn < endVpn;) {
      const want = Math.min(CHUNK_ENTRIES, endVpn - vpn) * ENTRY_BYTES;
      const got = readSync(this.#fd, bytes, 0, want, vpn * ENTRY_BYTES);
      const count = Math.floor(got / ENTRY_BYTES);
      if (count === 0) return false;
      rows.add(words, count, vpn);
      this.#buffer.entriesRead += count;
      vpn += count;
      if (isEnough?.() === true) return true;
    }
    return true;
  }

  /** Calls `visit` with the signed words of pages from `startVpn` up to `endVpn`: first page, number. */
  visitRange(
    startVpn: number,
    endVpn: number,
    visit: (words: Int32Array, vpn: number, count: number) => void,
  ): void {
    const { signed, bytes } = this.#buffer;
    for (let vpn = startVpn; vpn < endVpn;) {
      const want = Math.min(CHUNK_ENTRIES, endVpn - vpn) * ENTRY_BYTES;
      const count = Math.floor(readSync(this.#fd, bytes, 0, want, vpn * ENTRY_BYTES) / ENTRY_BYTES);
      if (count === 0) return;
      visit(signed, vpn, count);
      this.#buffer.entriesRead += count;
      vpn += count;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}
