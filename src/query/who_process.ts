import { PAGE_SIZE_BYTES } from '../base/units.js';
import { PAGE_FLAG } from './page_map.js';
import { computeUses, distinct } from './live.js';
import type { LiveProcess, LiveReport, ProcessUses } from './live.js';
import type { PageMapPicture, PictureProcess, PictureVma } from './page_map.js';

/** Memory of one mapping, or of several with the same name. */
export interface ProcessRegion {
  /** File, `[heap]`, `[stack]`; `anonymous` for memory without a name. */
  readonly name: string;
  readonly mappingCount: number;
  readonly rssBytes: number;
  /** Pages that nobody else maps. */
  readonly ussBytes: number;
}

/** A relative and the memory that it shares with the process. */
export interface ProcessPartner {
  readonly pid: number;
  readonly comm: string;
  readonly sharedBytes: number;
}

export interface WhoProcessReport {
  readonly schemaVersion: 1;
  readonly kind: 'process';
  readonly target: string;
  readonly precision: LiveReport['precision'];
  readonly process: LiveProcess;
  /** By memory of its own, largest first. */
  readonly regions: readonly ProcessRegion[];
  /** Parent, children and siblings that share with it, by shared memory. */
  readonly partners: readonly ProcessPartner[];
  /** Relatives that were not read, because of their number or size. */
  readonly unreadRelatives: number;
  readonly elapsedMs: number;
}

const REGION_LIMIT = 50;

function exclusivePages(process: PictureProcess, vma: PictureVma): number {
  let pages = 0;
  for (let row = vma.firstRow; row < vma.firstRow + vma.rowCount; row++) {
    if (((process.rows.flags[row] ?? 0) & PAGE_FLAG.exclusive) !== 0) pages++;
  }
  return pages;
}

function regionsOf(process: PictureProcess): ProcessRegion[] {
  const regions = new Map<string, { mappingCount: number; pages: number; unique: number }>();
  for (const vma of process.vmas) {
    if (vma.rowCount === 0) continue;
    const name = vma.name === '' ? 'anonymous' : vma.name;
    let region = regions.get(name);
    if (region === undefined) {
      regions.set(name, (region = { mappingCount: 0, pages: 0, unique: 0 }));
    }
    region.mappingCount++;
    region.pages += vma.rowCount;
    region.unique += exclusivePages(process, vma);
  }
  return [...regions]
    .map(([name, { mappingCount, pages, unique }]) => ({
      name,
      mappingCount,
      rssBytes: pages * PAGE_SIZE_BYTES,
      ussBytes: unique * PAGE_SIZE_BYTES,
    }))
    .toSorted((left, right) => right.ussBytes - left.ussBytes)
    .slice(0, REGION_LIMIT);
}

/** `index`: the place of the process in the picture. */
function partnersOf(index: number, { sets, processes }: ProcessUses): ProcessPartner[] {
  const pages = new Map<number, number>();
  for (const set of sets) {
    if (!set.members.includes(index)) continue;
    for (const other of distinct(set.members)) {
      if (other !== index) pages.set(other, (pages.get(other) ?? 0) + set.pages);
    }
  }
  return [...pages]
    .map(([other, shared]) => ({
      pid: processes[other]?.pid ?? 0,
      comm: processes[other]?.comm ?? '',
      sharedBytes: shared * PAGE_SIZE_BYTES,
    }))
    .toSorted((left, right) => {
      const difference = right.sharedBytes - left.sharedBytes;
      return difference === 0 ? left.pid - right.pid : difference;
    });
}

/**
 * What one process maps, owns and shares with its relatives. The picture holds the process and
 * those relatives that could be read; its kernel mapcounts cover everybody else.
 * `undefined` if the process is not in the picture.
 */
export function computeWhoProcess(
  target: string,
  pid: number,
  picture: PageMapPicture,
  unreadRelatives: number,
  elapsedMs: number,
): WhoProcessReport | undefined {
  const index = picture.processes.findIndex((process) => process.pid === pid);
  const entry = picture.processes[index];
  if (entry === undefined) return undefined;
  const uses = computeUses(picture);
  const process = uses.processes[index];
  if (process === undefined) return undefined;
  return {
    schemaVersion: 1,
    kind: 'process',
    target,
    precision: uses.precision,
    process,
    regions: regionsOf(entry),
    partners: partnersOf(index, uses),
    unreadRelatives,
    elapsedMs,
  };
}
