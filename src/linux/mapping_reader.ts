import { closeSync, openSync, readSync } from 'node:fs';
import { endOfMapsLine, findMapping } from './proc_text.js';
import type { MapsEntry } from './proc_text.js';
import { isGone } from './processes.js';

const NEWLINE = 0x0a;
const FIRST_BYTES = 1 << 16;

/** Finds single mappings of processes; one buffer serves many. */
export class MappingReader {
  #bytes = Buffer.alloc(FIRST_BYTES);

  /**
   * The mapping that holds a page; `undefined` if there is none or the process is gone. Reads
   * /proc/PID/maps only as far as that: printing it is what costs.
   */
  at(pid: number, vpn: number): MapsEntry | undefined {
    const file = `/proc/${pid}/maps`;
    let fd: number | undefined;
    try {
      fd = openSync(file, 'r');
      const length = this.#readUpTo(fd, vpn);
      return findMapping(this.#bytes.toString('utf8', 0, length), vpn, file);
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  /** Fills the buffer with lines until one ends behind the page; returns the length of all. */
  #readUpTo(fd: number, vpn: number): number {
    for (let length = 0; ;) {
      if (length === this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes], 2 * length);
      const got = readSync(fd, this.#bytes, length, this.#bytes.length - length, -1);
      length += got;
      if (got === 0) return length;
      // The kernel hands out whole lines.
      const last = this.#bytes.lastIndexOf(NEWLINE, length - 2) + 1;
      if (vpn < endOfMapsLine(this.#bytes.toString('latin1', last, length), 0)) return length;
    }
  }
}
