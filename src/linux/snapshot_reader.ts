import { PAGE_FLAG } from '../query/page_map.js';
import type { PageRows } from '../query/page_map.js';
import { FrameFile, FrameSet } from './page_frames.js';
import { PageRowsBuilder } from './page_rows.js';
import { PagemapFile } from './pagemap_file.js';
import type { PagemapBuffer } from './pagemap_file.js';
import { parseSmaps } from './proc_text.js';
import type { SmapsEntry } from './proc_text.js';
import { errorCodeOf, isGone, listTids, readProcText } from './processes.js';

/** An empty mapping larger than this is not read: 4 GiB of holes cost 6 ms. */
const LARGEST_EMPTY_PAGES = 1 << 20;

const FRAMES_PER_BLOCK = 512;
const EXCLUSIVE_MAPCOUNT = 1;

/** One process as read in a pause; texts are parsed later, when it runs again. */
export interface FrozenProcess {
  readonly pid: number;
  readonly tids: readonly number[];
  readonly statText: string;
  readonly statusText: string;
  readonly vmas: readonly SmapsEntry[];
  /** For each VMA the end of its rows and of its swap entries. */
  readonly rowEnds: Uint32Array;
  readonly swapEnds: Uint32Array;
  readonly rows: PageRows;
  readonly swapVpns: Float64Array;
}

/** The kernel's word on those frames that pagemap does not tell all about; sorted by pfn. */
export interface FrameFacts {
  readonly pfn: Uint32Array;
  readonly mapcount: Uint32Array;
  /** Lower half of /proc/kpageflags. */
  readonly flags: Uint32Array;
}

/** Everything that was read in one pause. */
export interface FrozenPicture {
  readonly name: string;
  /** Wall clock, ISO 8601. */
  readonly time: string;
  readonly processes: readonly FrozenProcess[];
  /** `undefined` without privileges. */
  readonly frames: FrameFacts | undefined;
  /** How long the processes were held, in ms. */
  readonly pauseMs: number;
}

function readProcess(pid: number, buffer: PagemapBuffer): FrozenProcess | undefined {
  const statText = readProcText(pid, 'stat');
  const statusText = readProcText(pid, 'status');
  const smapsText = readProcText(pid, 'smaps');
  if (statText === undefined || statusText === undefined || smapsText === undefined) {
    return undefined;
  }
  const vmas = parseSmaps(smapsText, `/proc/${pid}/smaps`);
  const builder = new PageRowsBuilder();
  const rowEnds = new Uint32Array(vmas.length);
  const swapEnds = new Uint32Array(vmas.length);
  const pagemap = new PagemapFile(pid, buffer);
  try {
    for (const [index, vma] of vmas.entries()) {
      const isEmpty = vma.rssKib === 0 && vma.swapKib === 0;
      if (!isEmpty || vma.endVpn - vma.startVpn <= LARGEST_EMPTY_PAGES) {
        pagemap.readRange(vma.startVpn, vma.endVpn, builder);
      }
      rowEnds[index] = builder.length;
      swapEnds[index] = builder.swapCount;
    }
  } finally {
    pagemap.close();
  }
  return {
    pid,
    tids: listTids(pid),
    statText,
    statusText,
    vmas,
    rowEnds,
    swapEnds,
    rows: builder.rows(),
    swapVpns: builder.swapVpns(),
  };
}

/**
 * Which pages of a mapping can be more than plain memory, so that flags must tell: all where
 * somebody asked for huge pages or KSM, else whole blocks if smaps counts any.
 */
function flaggedPages(vma: SmapsEntry, hugeEverywhere: boolean): 'all' | 'blocks' | 'none' {
  if (hugeEverywhere || vma.ksmKib > 0 || /\b(hg|mg|ht)\b/.test(vma.flags)) return 'all';
  return vma.anonHugeKib > 0 ? 'blocks' : 'none';
}

/** Whether a row starts a run of frames that can be one huge page. */
function startsBlock(rows: PageRows, row: number, endRow: number): boolean {
  const first = rows.pfn[row] ?? 0;
  const last = row + FRAMES_PER_BLOCK - 1;
  const isAligned = first % FRAMES_PER_BLOCK === 0;
  return isAligned && last < endRow && rows.pfn[last] === first + FRAMES_PER_BLOCK - 1;
}

/**
 * Mapcounts and flags of anonymous pages, as few as will do, because looking them up is most of
 * the pause. A page that pagemap calls exclusive has mapcount 1 by definition. In plain memory no
 * flag is of interest but that of the zero page, whose mappings are not counted.
 */
function readFrames(processes: readonly FrozenProcess[], files: FrameFiles): FrameFacts {
  const counted = new FrameSet();
  const flagged = new FrameSet();
  for (const { rows, vmas, rowEnds } of processes) {
    let row = 0;
    for (const [index, vma] of vmas.entries()) {
      const wanted = flaggedPages(vma, files.hugeEverywhere);
      const endRow = rowEnds[index] ?? 0;
      let blockEnd = wanted === 'all' ? endRow : row;
      for (; row < endRow; row++) {
        const flags = rows.flags[row] ?? 0;
        if ((flags & PAGE_FLAG.file) !== 0) continue;
        const pfn = rows.pfn[row] ?? 0;
        if (wanted === 'blocks' && startsBlock(rows, row, endRow))
          blockEnd = row + FRAMES_PER_BLOCK;
        if ((flags & PAGE_FLAG.exclusive) === 0) counted.add(pfn);
        if (row < blockEnd) flagged.add(pfn);
      }
    }
  }
  const countedPfns = counted.sorted();
  const counts = files.counts.read(countedPfns);
  for (const [index, count] of counts.entries()) {
    if (count === 0) flagged.add(countedPfns[index] ?? 0);
  }
  const flaggedPfns = flagged.sorted();
  for (const pfn of flaggedPfns) counted.add(pfn);
  const pfn = counted.sorted();
  return {
    pfn,
    mapcount: spread(countedPfns, counts, pfn, EXCLUSIVE_MAPCOUNT),
    flags: spread(flaggedPfns, files.flags.read(flaggedPfns), pfn, 0),
  };
}

/** Values of some frames of a sorted list; `other` for the rest. */
function spread(
  some: Uint32Array,
  values: Uint32Array,
  pfn: Uint32Array,
  other: number,
): Uint32Array {
  const spreadOut = new Uint32Array(pfn.length).fill(other);
  let index = 0;
  for (const [row, frame] of some.entries()) {
    while (pfn[index] !== frame) index++;
    spreadOut[index] = values[row] ?? other;
  }
  return spreadOut;
}

/** The files with facts on page frames. Opening them needs CAP_SYS_ADMIN. */
export class FrameFiles {
  readonly counts = new FrameFile('kpagecount');
  readonly flags = new FrameFile('kpageflags');
  /** Whether any anonymous memory may get huge pages without having asked for them. */
  readonly hugeEverywhere: boolean;

  constructor(hugeEverywhere: boolean) {
    this.hugeEverywhere = hugeEverywhere;
  }

  close(): void {
    this.counts.close();
    this.flags.close();
  }
}

/**
 * Reads the page maps of processes that are held still. Processes that are gone or were never
 * user processes are left out. Without `files`, frames stay unknown.
 */
export function readFrozen(
  name: string,
  pids: readonly number[],
  buffer: PagemapBuffer,
  files: FrameFiles | undefined,
): FrozenPicture {
  const startMs = performance.now();
  const processes: FrozenProcess[] = [];
  for (const pid of pids) {
    try {
      const found = readProcess(pid, buffer);
      if (found !== undefined && found.vmas.length > 0) processes.push(found);
    } catch (error) {
      if (!isGone(error) && errorCodeOf(error) !== 'EACCES') throw error;
    }
  }
  return {
    name,
    time: new Date().toISOString(),
    frames: files === undefined ? undefined : readFrames(processes, files),
    processes,
    pauseMs: performance.now() - startMs,
  };
}
