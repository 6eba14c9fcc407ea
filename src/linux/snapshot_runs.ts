import { PAGE_FLAG } from '../query/page_map.js';
import { FRAME_FLAG, FrameIndex } from './page_frames.js';
import type { AsciiWriter } from './ascii_writer.js';
import type { SmapsEntry } from './proc_text.js';
import type { FrameFacts, FrozenProcess } from './snapshot_reader.js';

/** Page-table entries by kind. */
export interface PageCounts {
  anon: number;
  file: number;
  zero: number;
  swap: number;
}

const [OPEN, CLOSE, COMMA, QUOTE] = [0x5b, 0x5d, 0x2c, 0x22] as const;

const COMPOUND = FRAME_FLAG.thp | FRAME_FLAG.hugetlb;

/** Mappings whose pages belong to the kernel: vdso, vvar and the like. */
function isSpecial(vma: SmapsEntry): boolean {
  return vma.inode === 0 && /^\[(vdso|vvar|vvar_vclock|uprobes)\]$/.test(vma.name);
}

/** Letters of anonymous pages; `FrameTable.keyOf` holds their place here in its two lowest bits. */
const ANON_LETTERS = ['A', 'H', 'K', 'Z'] as const;
const ZERO_LETTER = 3;

function letterOf(frameFlags: number): number {
  if ((frameFlags & FRAME_FLAG.zeroPage) !== 0) return ZERO_LETTER;
  if ((frameFlags & FRAME_FLAG.ksm) !== 0) return 2;
  return (frameFlags & COMPOUND) !== 0 ? 1 : 0;
}

/** A plain anonymous page that is mapped once. */
const EXCLUSIVE_KEY = 1 << 2;

/** What the kernel says about the frames of a picture, for lookup by frame. */
export class FrameTable {
  readonly #keys: Float64Array;
  readonly #index: FrameIndex;

  constructor(facts: FrameFacts) {
    this.#keys = new Float64Array(facts.pfn.length);
    for (let row = 0; row < this.#keys.length; row++) {
      this.#keys[row] = (facts.mapcount[row] ?? 0) * 4 + letterOf(facts.flags[row] ?? 0);
    }
    this.#index = new FrameIndex(facts.pfn);
  }

  /** Mapcount times four plus letter; frames that were not looked up are exclusive and plain. */
  keyOf(pfn: number): number {
    const row = this.#index.find(pfn);
    return row < 0 ? EXCLUSIVE_KEY : (this.#keys[row] ?? EXCLUSIVE_KEY);
  }
}

/**
 * Writes the pages of one process as JSON arrays of runs: `[first page, count, letter, first pfn,
 * mapcount, exclusive]`, page and pfn in hexadecimal; files and swap stop after the letter. A busy
 * heap has as many runs as pages, so no string is made for a run.
 */
export class RunWriter {
  readonly #process: FrozenProcess;
  readonly #frames: FrameTable | undefined;
  readonly #counts: PageCounts;
  #row = 0;
  #run = 0;
  #swap = 0;

  /** `counts` is added to; `frames` is `undefined` where the kernel hides frames. */
  constructor(process: FrozenProcess, frames: FrameTable | undefined, counts: PageCounts) {
    this.#process = process;
    this.#frames = frames;
    this.#counts = counts;
  }

  /** Writes the runs of the next VMA in order, which ends at the given row and swap entry. */
  next(out: AsciiWriter, vma: SmapsEntry, rowEnd: number, swapEnd: number): void {
    const areSpecial = isSpecial(vma);
    const { flags } = this.#process.rows;
    let isFirst = true;
    out.char(OPEN);
    while (this.#row < rowEnd || this.#swap < swapEnd) {
      const vpn = this.#row < rowEnd ? this.#vpn() : Number.POSITIVE_INFINITY;
      const swapVpn = this.#swap < swapEnd ? (this.#process.swapVpns[this.#swap] ?? 0) : vpn;
      if (!isFirst) out.char(COMMA);
      isFirst = false;
      out.ascii('["').hex(Math.min(vpn, swapVpn)).ascii('",');
      if (swapVpn < vpn) {
        this.#swap++;
        this.#counts.swap++;
        out.ascii('1,"swap"');
      } else if (areSpecial || ((flags[this.#row] ?? 0) & PAGE_FLAG.file) !== 0) {
        this.#fileRun(out, areSpecial, rowEnd);
      } else {
        this.#anonRun(out, rowEnd);
      }
      out.char(CLOSE);
    }
    out.char(CLOSE);
  }

  #vpn(): number {
    const { rows } = this.#process;
    while (this.#run + 1 < rows.runCount && (rows.runRow[this.#run + 1] ?? 0) <= this.#row) {
      this.#run++;
    }
    return (rows.runVpn[this.#run] ?? 0) + this.#row - (rows.runRow[this.#run] ?? 0);
  }

  /** First row that cannot belong to the run: virtual addresses jump there. */
  #lastRow(rowEnd: number): number {
    const { rows } = this.#process;
    if (this.#run + 1 >= rows.runCount) return rowEnd;
    return Math.min(rowEnd, rows.runRow[this.#run + 1] ?? rowEnd);
  }

  #fileRun(out: AsciiWriter, areSpecial: boolean, rowEnd: number): void {
    const { flags } = this.#process.rows;
    const first = this.#row;
    const limit = this.#lastRow(rowEnd);
    let row = areSpecial ? limit : first + 1;
    while (row < limit && ((flags[row] ?? 0) & PAGE_FLAG.file) !== 0) row++;
    this.#row = row;
    if (!areSpecial) this.#counts.file += row - first;
    out.decimal(row - first).ascii(areSpecial ? ',"?"' : ',"F"');
  }

  #anonRun(out: AsciiWriter, rowEnd: number): void {
    const { pfn, flags } = this.#process.rows;
    const frames = this.#frames;
    const first = this.#row;
    const limit = this.#lastRow(rowEnd);
    const firstPfn = pfn[first] ?? 0;
    const firstFlags = flags[first] ?? 0;
    const exclusive = (firstFlags & PAGE_FLAG.exclusive) !== 0 ? 1 : 0;
    // Without privileges all frames read as 0, and nothing else is known.
    const key = frames?.keyOf(firstPfn) ?? exclusive * EXCLUSIVE_KEY;
    const step = frames === undefined ? 0 : 1;
    let row = first + 1;
    for (; row < limit; row++) {
      const rowPfn = pfn[row] ?? 0;
      if (rowPfn !== firstPfn + (row - first) * step || flags[row] !== firstFlags) break;
      if (frames !== undefined && frames.keyOf(rowPfn) !== key) break;
    }
    this.#row = row;
    const count = row - first;
    const letter = key & 3;
    if (letter === ZERO_LETTER) this.#counts.zero += count;
    else this.#counts.anon += count;
    out
      .decimal(count)
      .char(COMMA)
      .char(QUOTE)
      .ascii(ANON_LETTERS[letter] ?? 'A')
      .ascii('","')
      .hex(firstPfn);
    out
      .ascii('",')
      .decimal(Math.floor(key / 4))
      .char(COMMA)
      .decimal(exclusive);
  }
}
