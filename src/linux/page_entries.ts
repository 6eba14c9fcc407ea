import { closeSync, openSync, readSync } from 'node:fs';
import type { PageMapping } from '../query/who_page.js';
import { FRAME_FLAG } from './page_frames.js';
import { ENTRY_BYTES, ENTRY_HIGH } from './page_rows.js';
import { lengthBytes, parseSmaps } from './proc_text.js';
import type { MapsEntry, SmapsEntry } from './proc_text.js';
import { errorCodeOf, isGone, readProcText } from './processes.js';

const PAGES_PER_PMD = 512;
const TWO_32 = 2 ** 32;

/** Counting the blocks of larger mappings takes too long: their level stays unknown. */
const LARGEST_COUNTED_BYTES = 4 * 2 ** 30;

/** One pagemap entry, taken apart. */
export interface PageEntry {
  readonly isPresent: boolean;
  readonly isSwapped: boolean;
  readonly isFile: boolean;
  readonly isExclusive: boolean;
  readonly pfn: number;
}

/** Reads single pagemap entries of any process. */
export class PageEntryReader {
  readonly #words = new Uint32Array(2 * PAGES_PER_PMD);
  readonly #bytes = new Uint8Array(this.#words.buffer);
  /** Processes that this user may not look at. */
  readonly deniedPids = new Set<number>();

  /** Entries from `vpn` on, read into the words; returns their number, −1 if not allowed. */
  #readEntries(pid: number, vpn: number, count: number): number {
    let fd: number | undefined;
    try {
      fd = openSync(`/proc/${pid}/pagemap`, 'r');
      const got = readSync(fd, this.#bytes, 0, count * ENTRY_BYTES, vpn * ENTRY_BYTES);
      return Math.floor(got / ENTRY_BYTES);
    } catch (error) {
      if (isGone(error)) return 0;
      const code = errorCodeOf(error);
      if (code !== 'EACCES' && code !== 'EPERM') throw error;
      this.deniedPids.add(pid);
      return -1;
    } finally {
      if (fd !== undefined) closeSync(fd);
    }
  }

  /** The entry of a page; `undefined` if the process is gone or hidden. */
  entry(pid: number, vpn: number): PageEntry | undefined {
    if (this.#readEntries(pid, vpn, 1) < 1) return undefined;
    const low = this.#words[0] ?? 0;
    const high = this.#words[1] ?? 0;
    return {
      isPresent: (high & ENTRY_HIGH.present) !== 0,
      isSwapped: (high & ENTRY_HIGH.present) === 0 && (high & ENTRY_HIGH.swapped) !== 0,
      isFile: (high & ENTRY_HIGH.file) !== 0,
      isExclusive: (high & ENTRY_HIGH.exclusive) !== 0,
      pfn: (high & ENTRY_HIGH.frame) * TWO_32 + low,
    };
  }

  /**
   * Whether a page is mapped by a PMD entry. Only small folios can be told from the page alone;
   * for the rest, smaps says how much of the mapping is.
   */
  levelOf(pid: number, vpn: number, frameFlags: number, vma: MapsEntry): PageMapping['level'] {
    if ((frameFlags & FRAME_FLAG.hugetlb) !== 0) return 'pmd';
    if ((frameFlags & FRAME_FLAG.thp) === 0 || !this.#isWholeBlock(pid, vpn, vma)) return 'pte';
    const smaps = parseSmaps(readProcText(pid, 'smaps') ?? '', `/proc/${pid}/smaps`);
    const entry = smaps.find((candidate) => candidate.startVpn === vma.startVpn);
    if (entry === undefined) return 'unknown';
    const hugeKib = entry.anonHugeKib + entry.shmemHugeKib + entry.fileHugeKib;
    if (hugeKib === 0) return 'pte';
    return hugeKib === this.#wholeBlocks(pid, entry) * 2048 ? 'pmd' : 'unknown';
  }

  /** Whether the aligned 2 MiB around a page are 512 consecutive frames. */
  #isWholeBlock(pid: number, vpn: number, vma: MapsEntry): boolean {
    const first = vpn - (vpn % PAGES_PER_PMD);
    if (first < vma.startVpn || first + PAGES_PER_PMD > vma.endVpn) return false;
    if (this.#readEntries(pid, first, PAGES_PER_PMD) < PAGES_PER_PMD) return false;
    const start = this.#words[0] ?? 0;
    if (start % PAGES_PER_PMD !== 0) return false;
    for (let index = 0; index < PAGES_PER_PMD; index++) {
      const isPresent = ((this.#words[2 * index + 1] ?? 0) & ENTRY_HIGH.present) !== 0;
      if (!isPresent || this.#words[2 * index] !== start + index) return false;
    }
    return true;
  }

  #wholeBlocks(pid: number, vma: SmapsEntry): number {
    let blocks = 0;
    if (lengthBytes(vma) > LARGEST_COUNTED_BYTES) return -1;
    const first = vma.startVpn + ((PAGES_PER_PMD - (vma.startVpn % PAGES_PER_PMD)) % PAGES_PER_PMD);
    for (let vpn = first; vpn + PAGES_PER_PMD <= vma.endVpn; vpn += PAGES_PER_PMD) {
      if (this.#isWholeBlock(pid, vpn, vma)) blocks++;
    }
    return blocks;
  }
}
