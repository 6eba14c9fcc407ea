import { PAGE_FLAG } from '../query/page_map.js';
import type { Mapcounts, PageMapPicture, PictureProcess } from '../query/page_map.js';
import { PAGE_SIZE_BYTES } from '../base/units.js';
import { KernelConfig } from './host.js';
import { movedSince, readKernelMoves } from './kernel_moves.js';
import { FrameFile, FrameSet } from './page_frames.js';
import { differingPages } from './page_rows.js';
import { PagemapBuffer } from './pagemap_file.js';
import type { Pause } from './pause.js';
import { readActivity, readProcessPages } from './process_pages.js';
import type { ProcessReading, ReadingOptions } from './process_pages.js';
import { MapsLines } from './proc_text.js';
import { errorCodeOf, isGone, listPids } from './processes.js';
import { ZeroPages } from './zero_pages.js';

export interface PictureOptions {
  /** Processes of the group; `undefined` for all of the machine. */
  readonly pids: readonly number[] | undefined;
  readonly wantsKernelSums: boolean;
  /** Holds the group while it is read; without it, processes that ran are read twice. */
  readonly pause?: Pause;
}

/** A second reading of everything costs as much as the first: only for groups up to this size … */
const ALWAYS_READ_AGAIN_PAGES = 1 << 20;
/** … or if the kernel itself moved more than this share of the pages. */
const MOST_MOVED_SHARE = 0.001;

/** Takes one picture; holds what the reading of many processes has in common. */
class PictureTaker {
  readonly #options: PictureOptions;
  readonly #reading: ReadingOptions;
  readonly #buffer = new PagemapBuffer();
  readonly #readings = new Map<number, ProcessReading>();
  readonly #vanished: number[] = [];
  readonly #denied: number[] = [];
  readonly #movedPids: number[] = [];
  #movedPages = 0;
  #kernelMovedPages = 0;

  constructor(options: PictureOptions) {
    this.#options = options;
    this.#reading = { wantsKernelSums: options.wantsKernelSums, lines: new MapsLines() };
  }

  take(): PageMapPicture {
    const startCpu = process.cpuUsage();
    const flags = openFrames('kpageflags');
    const counts = openFrames('kpagecount');
    try {
      const time = new Date().toISOString();
      const kernelBefore = readKernelMoves();
      this.#readAll();
      if (this.#options.pause === undefined) {
        this.#readAgain(this.#isWorthReadingAgain(movedSince(kernelBefore, readKernelMoves())));
      }
      const zeroPfns = flags === undefined ? new Set<number>() : this.#zeroPfns(flags);
      const processes = [...this.#readings.values()].map((reading) => reading.process);
      const coversMachine = this.#options.pids === undefined && this.#denied.length === 0;
      const needsCounts = counts !== undefined && !coversMachine;
      const mapcounts = needsCounts ? readMapcounts(processes, counts) : undefined;
      const cpu = process.cpuUsage(startCpu);
      return {
        time,
        processes,
        zeroPfns,
        mapcounts,
        coversMachine,
        mapcountsAreExact: new KernelConfig().option('NO_PAGE_MAPCOUNT') !== 'y',
        method: {
          consistency: this.#options.pause === undefined ? 'twice' : 'frozen',
          hasFrames: flags !== undefined,
          movedPages: this.#movedPages,
          movedPids: this.#movedPids,
          kernelMovedPages: this.#kernelMovedPages,
          vanishedPids: this.#vanished,
          deniedPids: this.#denied,
          entriesRead: this.#buffer.entriesRead,
          cpuMs: (cpu.user + cpu.system) / 1000,
          skippedPages: this.#skippedPages(),
        },
      };
    } finally {
      flags?.close();
      counts?.close();
    }
  }

  #readAll(): void {
    const { pause, pids } = this.#options;
    const held = pause?.hold();
    try {
      for (const pid of pids ?? held ?? listPids()) {
        if (pid === process.pid && pids === undefined) continue;
        const reading = this.#read(pid);
        if (reading !== undefined) this.#readings.set(pid, reading);
        else if (pids !== undefined) this.#vanished.push(pid);
      }
    } finally {
      pause?.release();
    }
  }

  /** Whether all must be read again because the kernel moved pages; notes them if not. */
  #isWorthReadingAgain(movedPages: number): boolean {
    if (movedPages === 0) return false;
    let pages = 0;
    for (const { process: entry } of this.#readings.values()) pages += entry.rows.length;
    if (pages <= ALWAYS_READ_AGAIN_PAGES || movedPages > pages * MOST_MOVED_SHARE) return true;
    this.#kernelMovedPages = movedPages;
    return false;
  }

  /** Reads again those that did something meanwhile, or all. */
  #readAgain(wantsAll: boolean): void {
    for (const [pid, before] of this.#readings) {
      if (!wantsAll && readActivity(pid) === before.activity) continue;
      const after = this.#read(pid);
      if (after === undefined) {
        this.#readings.delete(pid);
        this.#vanished.push(pid);
        continue;
      }
      this.#readings.set(pid, after);
      const moved = differingPages(before.process.rows, after.process.rows);
      if (moved === 0) continue;
      this.#movedPages += moved;
      this.#movedPids.push(pid);
    }
  }

  #read(pid: number): ProcessReading | undefined {
    try {
      return readProcessPages(pid, this.#buffer, this.#reading);
    } catch (error) {
      if (isGone(error)) return undefined;
      const code = errorCodeOf(error);
      if (code !== 'EACCES' && code !== 'EPERM') throw error;
      this.#denied.push(pid);
      return undefined;
    }
  }

  #zeroPfns(flags: FrameFile): ReadonlySet<number> {
    const zero = new ZeroPages(flags);
    for (const { repeatedPfns } of this.#readings.values()) zero.learn(repeatedPfns);
    if (!zero.mayBeHuge) return zero.pfns;
    for (const { process: entry } of this.#readings.values()) {
      // The huge zero page is not in RSS: pages beyond it may be that.
      const excessBytes = entry.rows.length * PAGE_SIZE_BYTES - entry.rssBytes;
      if (excessBytes < HUGE_BYTES / 2) continue;
      zero.learn(hugeCandidates(entry));
    }
    return zero.pfns;
  }

  #skippedPages(): number {
    let pages = 0;
    for (const reading of this.#readings.values()) pages += reading.skippedPages;
    return pages;
  }
}

const HUGE_BYTES = 2 << 20;
const HUGE_FRAMES = 512;

/** First frames of aligned blocks of anonymous memory that the process does not have to itself. */
function hugeCandidates({ rows }: PictureProcess): Set<number> {
  const candidates = new Set<number>();
  for (let row = 0; row < rows.length; row++) {
    const pfn = rows.pfn[row] ?? 0;
    if (pfn % HUGE_FRAMES === 0 && ((rows.flags[row] ?? 0) & PAGE_FLAG.exclusive) === 0) {
      candidates.add(pfn);
    }
  }
  return candidates;
}

function openFrames(name: 'kpageflags' | 'kpagecount'): FrameFile | undefined {
  try {
    return new FrameFile(name);
  } catch (error) {
    const code = errorCodeOf(error);
    if (code === 'EACCES' || code === 'EPERM' || code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Kernel mapcounts of all pages that pagemap does not call exclusive. */
function readMapcounts(processes: readonly PictureProcess[], counts: FrameFile): Mapcounts {
  const shared = new FrameSet();
  for (const { rows } of processes) {
    for (let row = 0; row < rows.length; row++) {
      if (((rows.flags[row] ?? 0) & PAGE_FLAG.exclusive) === 0) shared.add(rows.pfn[row] ?? 0);
    }
  }
  const pfn = shared.sorted();
  return { pfn, mapcount: counts.read(pfn) };
}

/**
 * Reads the page maps of processes at one time, as far as that can be: held by `pause`, or else
 * those that ran meanwhile are read twice and what moved is counted. Kernel threads and processes
 * that end meanwhile are left out. Works without privileges on one's own processes, but then
 * without frames.
 */
export function takePicture(options: PictureOptions): PageMapPicture {
  return new PictureTaker(options).take();
}
