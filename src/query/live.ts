import { PAGE_SIZE_BYTES } from '../base/units.js';
import { computeAnonVmas } from './anon_vma_view.js';
import type { AnonVmaReading, AnonVmaView } from './anon_vma_view.js';
import { PAGE_FLAG } from './page_map.js';
import type { KernelSums, PageMapPicture, PictureMethod, PictureProcess } from './page_map.js';
import { joinPages } from './sharing_sets.js';
import type { SharingSet } from './sharing_sets.js';
import { estimateNextWorker } from './next_worker.js';
import type { NextWorker } from './next_worker.js';

/** Memory of one process, or of all together. Sizes in bytes; swapped memory only where it says. */
export interface MemoryUse {
  /** Pages mapped, shared ones in full. */
  readonly rssBytes: number;
  /** Each page divided by all its mappings: proportional set size, exact per page. */
  readonly pssBytes: number;
  /** Pages that nobody else maps: unique set size. */
  readonly ussBytes: number;
  /** Pages that another process of the group maps too. */
  readonly sharedInsideBytes: number;
  /** Pages that a process outside the group maps. */
  readonly sharedOutsideBytes: number;
  /**
   * What the machine gets back at once if this is killed now: anonymous pages and swap slots that
   * nobody else maps, and page tables. Its file pages stay in the page cache.
   */
  readonly freedIfKilledBytes: number;
  readonly swapBytes: number;
  readonly pageTableBytes: number;
}

export interface LiveProcess extends MemoryUse {
  readonly pid: number;
  readonly ppid: number;
  readonly comm: string;
  readonly cgroup: string;
  readonly threadCount: number;
  /** What the kernel says: Rss, Pss and Private_* of smaps_rollup; `undefined` if not asked. */
  readonly kernel: KernelSums | undefined;
}

export interface LiveTotals extends MemoryUse {
  readonly processCount: number;
  /** Distinct pages × page size: what the group occupies, outside sharing included. */
  readonly distinctBytes: number;
  /** Sum of RSS divided by `distinctBytes`: by how much adding up RSS overstates. */
  readonly overstatement: number;
  /** Sum of the kernel's Pss; `undefined` if not asked. */
  readonly kernelPssBytes: number | undefined;
}

/** Bytes that two processes both map; the diagonal is what the process shares with nobody. */
export interface SharingMatrix {
  readonly pids: readonly number[];
  readonly bytes: readonly (readonly number[])[];
  /** Processes left out: the smallest ones, beyond the limit. */
  readonly omittedCount: number;
}

/** An exact set of processes and the memory that exactly they map. */
export interface SharedBy {
  readonly pids: readonly number[];
  readonly anonBytes: number;
  readonly fileBytes: number;
  /** Part of it that processes outside the group map as well. */
  readonly sharedOutsideBytes: number;
}

export interface LiveReport {
  readonly schemaVersion: 1;
  readonly time: string;
  /**
   * `exact`: frames were joined; `estimated`: outside mappings come from the kernel's averages;
   * `inferred`: frames are hidden, only "mapped by nobody else" is known per page.
   */
  readonly precision: 'exact' | 'estimated' | 'inferred';
  readonly method: PictureMethod;
  /** By PSS, largest first. */
  readonly processes: readonly LiveProcess[];
  readonly total: LiveTotals;
  /** Largest first; sets of equal members merged. */
  readonly sharedBy: readonly SharedBy[];
  readonly matrix: SharingMatrix;
  /** `undefined` if the group has no workers of one kind. */
  readonly nextWorker: NextWorker | undefined;
  /** `undefined` if nobody asked, or this machine cannot tell. */
  readonly anonVmas: AnonVmaView | undefined;
}

/** Rows of the sharing matrix; more are left out. */
const MATRIX_LIMIT = 32;
const SHARED_BY_LIMIT = 200;

interface Sums {
  pages: number;
  pss: number;
  unique: number;
  inside: number;
  outside: number;
  freed: number;
}

function emptySums(): Sums {
  return { pages: 0, pss: 0, unique: 0, inside: 0, outside: 0, freed: 0 };
}

/** Members without repetitions; `members` ascend. */
export function distinct(members: readonly number[]): number[] {
  return members.filter((member, index) => member !== members[index - 1]);
}

/** Swap slots by how many processes of the picture refer to them. */
function swapUse(processes: readonly PictureProcess[]): Map<number, number> {
  const users = new Map<number, number>();
  for (const { swapEntries } of processes) {
    for (const slot of swapEntries) users.set(slot, (users.get(slot) ?? 0) + 1);
  }
  return users;
}

function addSet(sums: readonly Sums[], set: SharingSet): void {
  const { members, pages, outsideMappings, isFile } = set;
  const mappings = members.length + outsideMappings;
  const owners = distinct(members);
  for (const member of members) {
    const sum = sums[member];
    if (sum === undefined) continue;
    sum.pages += pages;
    sum.pss += pages / mappings;
  }
  for (const owner of owners) {
    const sum = sums[owner];
    if (sum === undefined) continue;
    if (owners.length > 1) sum.inside += pages;
    if (outsideMappings > 0) sum.outside += pages;
    if (owners.length > 1 || outsideMappings > 0) continue;
    sum.unique += pages;
    if (!isFile) sum.freed += pages;
  }
}

function processUse(
  process: PictureProcess,
  sums: Sums,
  swapUsers: ReadonlyMap<number, number>,
): LiveProcess {
  let ownSlots = 0;
  for (const slot of process.swapEntries) if (swapUsers.get(slot) === 1) ownSlots++;
  const { pid, ppid, comm, cgroup, threadCount, pageTableBytes } = process;
  return {
    pid,
    ppid,
    comm,
    cgroup,
    threadCount,
    kernel: process.kernelSums,
    rssBytes: sums.pages * PAGE_SIZE_BYTES,
    pssBytes: Math.round(sums.pss * PAGE_SIZE_BYTES),
    ussBytes: sums.unique * PAGE_SIZE_BYTES,
    sharedInsideBytes: sums.inside * PAGE_SIZE_BYTES,
    sharedOutsideBytes: sums.outside * PAGE_SIZE_BYTES,
    freedIfKilledBytes: (sums.freed + ownSlots) * PAGE_SIZE_BYTES + pageTableBytes,
    swapBytes: process.swapEntries.length * PAGE_SIZE_BYTES,
    pageTableBytes,
  };
}

/** Without frames: the kernel's flags still tell which pages nobody else maps. */
function flagSums(process: PictureProcess): Sums {
  const sums = emptySums();
  const { flags, length } = process.rows;
  for (let row = 0; row < length; row++) {
    const flag = flags[row] ?? 0;
    if ((flag & PAGE_FLAG.exclusive) === 0) continue;
    sums.unique++;
    if ((flag & PAGE_FLAG.file) === 0) sums.freed++;
  }
  sums.pages = length;
  sums.pss = (process.kernelSums?.pssBytes ?? 0) / PAGE_SIZE_BYTES;
  return sums;
}

function totalsOf(
  picture: PageMapPicture,
  processes: readonly LiveProcess[],
  sets: readonly SharingSet[],
  swapUsers: ReadonlyMap<number, number>,
): LiveTotals {
  let distinctPages = 0;
  let uniquePages = 0;
  let insidePages = 0;
  let outsidePages = 0;
  let freedPages = swapUsers.size;
  for (const { members, pages, outsideMappings, isFile } of sets) {
    distinctPages += pages;
    if (members[0] !== members[members.length - 1]) insidePages += pages;
    if (outsideMappings > 0) outsidePages += pages;
    else uniquePages += pages;
    if (outsideMappings === 0 && !isFile) freedPages += pages;
  }
  const sum = (value: (process: LiveProcess) => number): number =>
    processes.reduce((total, process) => total + value(process), 0);
  const rssBytes = sum((process) => process.rssBytes);
  const pageTableBytes = sum((process) => process.pageTableBytes);
  const hasKernelSums = processes.every((process) => process.kernel !== undefined);
  const hasFrames = picture.method.hasFrames;
  const distinctBytes = hasFrames
    ? distinctPages * PAGE_SIZE_BYTES
    : sum((process) => process.pssBytes);
  return {
    processCount: processes.length,
    rssBytes,
    pssBytes: sum((process) => process.pssBytes),
    ussBytes: hasFrames ? uniquePages * PAGE_SIZE_BYTES : sum((process) => process.ussBytes),
    sharedInsideBytes: insidePages * PAGE_SIZE_BYTES,
    sharedOutsideBytes: outsidePages * PAGE_SIZE_BYTES,
    freedIfKilledBytes: hasFrames
      ? freedPages * PAGE_SIZE_BYTES + pageTableBytes
      : sum((process) => process.freedIfKilledBytes),
    swapBytes: swapUsers.size * PAGE_SIZE_BYTES,
    pageTableBytes,
    distinctBytes,
    overstatement: distinctBytes === 0 ? 1 : rssBytes / distinctBytes,
    kernelPssBytes: hasKernelSums ? sum((process) => process.kernel?.pssBytes ?? 0) : undefined,
  };
}

function sharedByOf(picture: PageMapPicture, sets: readonly SharingSet[]): SharedBy[] {
  const merged = new Map<string, { pids: number[]; anon: number; file: number; outside: number }>();
  for (const { members, pages, outsideMappings, isFile } of sets) {
    const owners = distinct(members);
    if (owners.length < 2) continue;
    const key = owners.join(' ');
    let entry = merged.get(key);
    if (entry === undefined) {
      const pids = owners.map((index) => picture.processes[index]?.pid ?? 0);
      merged.set(key, (entry = { pids, anon: 0, file: 0, outside: 0 }));
    }
    if (isFile) entry.file += pages;
    else entry.anon += pages;
    if (outsideMappings > 0) entry.outside += pages;
  }
  return [...merged.values()]
    .toSorted((left, right) => right.anon + right.file - left.anon - left.file)
    .slice(0, SHARED_BY_LIMIT)
    .map(({ pids, anon, file, outside }) => ({
      pids,
      anonBytes: anon * PAGE_SIZE_BYTES,
      fileBytes: file * PAGE_SIZE_BYTES,
      sharedOutsideBytes: outside * PAGE_SIZE_BYTES,
    }));
}

function matrixOf(
  picture: PageMapPicture,
  order: readonly LiveProcess[],
  sets: readonly SharingSet[],
): SharingMatrix {
  const shown = order.slice(0, MATRIX_LIMIT).map((process) => process.pid);
  const rowOfPid = new Map(shown.map((pid, row) => [pid, row]));
  const rowOf = picture.processes.map((process) => rowOfPid.get(process.pid) ?? -1);
  const bytes = shown.map(() => shown.map(() => 0));
  for (const { members, pages, outsideMappings } of sets) {
    const owners = distinct(members);
    const rows = owners.map((owner) => rowOf[owner] ?? -1).filter((row) => row >= 0);
    const isUnique = owners.length === 1 && outsideMappings === 0;
    for (const left of rows) {
      const line = bytes[left];
      if (line === undefined) continue;
      for (const right of rows) {
        if (left === right && !isUnique) continue;
        line[right] = (line[right] ?? 0) + pages * PAGE_SIZE_BYTES;
      }
    }
  }
  return { pids: shown, bytes, omittedCount: order.length - shown.length };
}

function orderByPss(left: LiveProcess, right: LiveProcess): number {
  const difference = right.pssBytes - left.pssBytes;
  return difference === 0 ? left.pid - right.pid : difference;
}

function precisionOf(picture: PageMapPicture): LiveReport['precision'] {
  if (!picture.method.hasFrames) return 'inferred';
  if (picture.coversMachine || picture.mapcountsAreExact) return 'exact';
  return 'estimated';
}

/** What each process of a picture uses. */
export interface ProcessUses {
  readonly precision: LiveReport['precision'];
  /** Sets of processes with the pages that exactly they map; empty without frames. */
  readonly sets: readonly SharingSet[];
  readonly swapUsers: ReadonlyMap<number, number>;
  /** In the order of the picture. */
  readonly processes: readonly LiveProcess[];
}

/** Joins the page maps of a picture and adds up by process. */
export function computeUses(picture: PageMapPicture): ProcessUses {
  const { hasFrames } = picture.method;
  const sets = hasFrames ? joinPages(picture) : [];
  const sums = picture.processes.map((process) => (hasFrames ? emptySums() : flagSums(process)));
  for (const set of sets) addSet(sums, set);
  const swapUsers = swapUse(picture.processes);
  const processes = picture.processes.map((process, index) =>
    processUse(process, sums[index] ?? emptySums(), swapUsers),
  );
  return { precision: precisionOf(picture), sets, swapUsers, processes };
}

/**
 * What the processes of a picture share, exactly: their page maps joined on the page frame. The
 * zero page is nobody's memory and not counted.
 */
export function computeLive(picture: PageMapPicture, chains?: AnonVmaReading): LiveReport {
  const { precision, sets, swapUsers, processes: uses } = computeUses(picture);
  const processes = uses.toSorted((left, right) => orderByPss(left, right));
  return {
    schemaVersion: 1,
    time: picture.time,
    precision,
    method: picture.method,
    processes,
    total: totalsOf(picture, processes, sets, swapUsers),
    sharedBy: sharedByOf(picture, sets),
    matrix: matrixOf(picture, processes, sets),
    nextWorker: estimateNextWorker(processes),
    anonVmas:
      chains === undefined
        ? undefined
        : computeAnonVmas(
            chains,
            processes.map(({ pid }) => pid),
          ),
  };
}
