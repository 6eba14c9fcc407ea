import type { KernelSums, PictureProcess, PictureVma } from '../query/page_map.js';
import { PagemapFile } from './pagemap_file.js';
import type { PagemapBuffer } from './pagemap_file.js';
import { PageRowsBuilder } from './page_rows.js';
import { numberField, parseFields, parseMaps, parseSmaps } from './proc_text.js';
import type { MapsEntry, MapsLines } from './proc_text.js';
import { readCgroup, readProcText, readStat, readStatus } from './processes.js';
import type { ProcessStatus } from './processes.js';

const KIB = 1024;
/** Reading a hole costs 6 ns per page, smaps 80 ns per populated page. */
const HOLES_PER_PAGE_OF_SMAPS = 13;
const SMALL_SPACE_PAGES = 1 << 16;
/** Room for a full read behind the last row. */
const CHUNK_ROWS = 8192;
/** Mappings larger than this are left as soon as all their pages have been seen. */
const SPARSE_VMA_PAGES = 1 << 20;

/** One reading of a process. */
export interface ProcessReading {
  readonly process: PictureProcess;
  /** Counters that rise with everything that the process does to its own memory. */
  readonly activity: string;
  readonly repeatedPfns: ReadonlySet<number>;
  readonly skippedPages: number;
}

/** What to leave out of a reading. */
export interface ReadingOptions {
  /** Ask smaps_rollup for the kernel's own sums: 80 ns per page. */
  readonly wantsKernelSums: boolean;
  /** Only mappings of which this is true; all if `undefined`. */
  readonly wantsVma?: (vma: MapsEntry) => boolean;
  /** Lines of maps that other processes had. */
  readonly lines?: MapsLines;
}

/** Data of the kernel mapped into the process: no memory of the process. */
function isKernelData(vma: MapsEntry): boolean {
  return vma.name === '[vvar]' || vma.name === '[vvar_vclock]';
}

function rssPages(status: ProcessStatus): number {
  return (status.rssAnonKib + status.rssFileKib + status.rssShmemKib + status.swapKib) / 4;
}

/** Populated pages of each mapping, by its first page, if the address space is mostly holes. */
function populatedPages(
  pid: number,
  vmas: readonly MapsEntry[],
  status: ProcessStatus,
): Map<number, number> | undefined {
  const populated = rssPages(status);
  let total = 0;
  for (const vma of vmas) total += vma.endVpn - vma.startVpn;
  if (total < SMALL_SPACE_PAGES + populated * HOLES_PER_PAGE_OF_SMAPS) return undefined;
  const text = readProcText(pid, 'smaps');
  if (text === undefined) return undefined;
  const pages = new Map<number, number>();
  for (const vma of parseSmaps(text, `/proc/${pid}/smaps`)) {
    pages.set(vma.startVpn, (vma.rssKib + vma.swapKib) / 4);
  }
  return pages;
}

/** The counters that show whether a process touched its memory: faults, sizes, mappings. */
export function readActivity(pid: number): string | undefined {
  const stat = readStat(pid);
  const statm = readProcText(pid, 'statm');
  if (stat === undefined || statm === undefined) return undefined;
  return `${stat.startTicks} ${stat.minorFaults} ${stat.majorFaults} ${statm.trim()}`;
}

function readKernelSums(pid: number): KernelSums | undefined {
  const text = readProcText(pid, 'smaps_rollup');
  if (text === undefined) return undefined;
  const fields = parseFields(text);
  return {
    rssBytes: numberField(fields, 'Rss') * KIB,
    pssBytes: numberField(fields, 'Pss') * KIB,
    ussBytes: (numberField(fields, 'Private_Clean') + numberField(fields, 'Private_Dirty')) * KIB,
  };
}

/**
 * Reads the page map of a process. `undefined` if it is gone or has no memory of its own (a
 * zombie, a kernel thread). Throws EACCES or EPERM if this user may not look at it.
 */
export function readProcessPages(
  pid: number,
  buffer: PagemapBuffer,
  options: ReadingOptions,
): ProcessReading | undefined {
  const activity = readActivity(pid);
  const mapsText = readProcText(pid, 'maps');
  const status = readStatus(pid);
  if (activity === undefined || status === undefined) return undefined;
  if (mapsText === undefined || mapsText === '') return undefined;
  const entries = parseMaps(mapsText, `/proc/${pid}/maps`, options.lines);
  const maps = entries.filter((vma) => !isKernelData(vma));
  const populated = populatedPages(pid, maps, status);
  const rows = new PageRowsBuilder(Math.ceil(rssPages(status)) + CHUNK_ROWS);
  const pagemap = new PagemapFile(pid, buffer);
  const vmas: PictureVma[] = [];
  try {
    for (const vma of maps) {
      const pages = populated?.get(vma.startVpn);
      if (pages === 0 || options.wantsVma?.(vma) === false) continue;
      const firstRow = rows.length;
      const firstSwap = rows.swapCount;
      const isSparse = pages !== undefined && vma.endVpn - vma.startVpn > SPARSE_VMA_PAGES;
      const isEnough = isSparse
        ? (): boolean => rows.length - firstRow + rows.swapCount - firstSwap >= pages
        : undefined;
      pagemap.readRange(vma.startVpn, vma.endVpn, rows, isEnough);
      const rowCount = rows.length - firstRow;
      const swapCount = rows.swapCount - firstSwap;
      // Written out: spreading takes ten times as long.
      vmas.push({
        startVpn: vma.startVpn,
        endVpn: vma.endVpn,
        permissions: vma.permissions,
        offsetBytes: vma.offsetBytes,
        device: vma.device,
        inode: vma.inode,
        name: vma.name,
        firstRow,
        rowCount,
        firstSwap,
        swapCount,
      });
    }
  } finally {
    pagemap.close();
  }
  const stat = readStat(pid);
  return {
    activity,
    repeatedPfns: rows.repeatedPfns,
    skippedPages: rows.skippedPages,
    process: {
      pid,
      ppid: stat?.ppid ?? 0,
      comm: stat?.comm ?? '',
      cgroup: readCgroup(pid),
      threadCount: status.threadCount,
      rssBytes: (status.rssAnonKib + status.rssFileKib + status.rssShmemKib) * KIB,
      swapBytes: status.swapKib * KIB,
      pageTableBytes: status.pageTableKib * KIB,
      pinnedBytes: status.pinnedKib * KIB,
      kernelSums: options.wantsKernelSums ? readKernelSums(pid) : undefined,
      vmas,
      rows: rows.rows(),
      swapEntries: rows.swapEntries(),
    },
  };
}
