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

function letterOf(frameFlags: number): 'A' | 'H' | 'K' | 'Z' {
  if ((frameFlags & FRAME_FLAG.zeroPage) !== 0) return 'Z';
  if ((frameFlags & FRAME_FLAG.ksm) !== 0) return 'K';
  return (frameFlags & COMPOUND) !== 0 ? 'H' : 'A';
}

/** What the kernel says about the frames of a picture, for lookup by frame. */
export class FrameTable {
  readonly mapcount: Uint32Array;
  readonly flags: Uint32Array;
  readonly index: FrameIndex;

  constructor(facts: FrameFacts) {
    this.mapcount = facts.mapcount;
    this.flags = facts.flags;
    this.index = new FrameIndex(facts.pfn);
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
    const fact = frames?.index.find(firstPfn) ?? -1;
    const mapcount = frames?.mapcount[fact] ?? 0;
    const letter = letterOf(frames?.flags[fact] ?? 0);
    const step = frames === undefined ? 0 : 1;
    let row = first + 1;
    while (row < limit) {
      if (pfn[row] !== firstPfn + (row - first) * step || flags[row] !== firstFlags) break;
      // Facts are sorted by frame, so those of consecutive frames are neighbours.
      const next = fact + row - first;
      if (frames !== undefined) {
        if (frames.mapcount[next] !== mapcount) break;
        if (letterOf(frames.flags[next] ?? 0) !== letter) break;
      }
      row++;
    }
    this.#row = row;
    const count = row - first;
    if (letter === 'Z') this.#counts.zero += count;
    else this.#counts.anon += count;
    const exclusive = (firstFlags & PAGE_FLAG.exclusive) !== 0 ? 1 : 0;
    const known = frames === undefined ? exclusive : mapcount;
    out
      .decimal(count)
      .char(COMMA)
      .char(QUOTE)
      .char(letter.charCodeAt(0))
      .ascii('","')
      .hex(firstPfn);
    out.ascii('",').decimal(known).char(COMMA).decimal(exclusive);
  }
}
