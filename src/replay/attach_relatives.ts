import type { SharedFrame } from './attach_pages.js';
import { NO_PAGE } from './mapped_page.js';
import type { PageIdentity } from './page_identity.js';
import type { TaskTable } from './tasks.js';

/** A process that was there before and shares pages with newcomers. */
export interface Relative {
  readonly pid: number;
  /** Frames that it maps, and those that it does not. */
  readonly frames: readonly SharedFrame[];
  readonly others: readonly SharedFrame[];
}

/** The process that shares most with a family, if any does. */
export function findRelative(
  tasks: TaskTable,
  identity: PageIdentity,
  frames: readonly SharedFrame[],
): Relative | undefined {
  const byPid = new Map<number, SharedFrame[]>();
  for (const frame of frames) {
    const page = identity.find(frame.pfn);
    if (page === NO_PAGE) continue;
    for (const { pid, vpn } of identity.placesOf(page)) {
      if (tasks.ofPid(pid) === undefined || vpn !== frame.pages[0]?.vpn) continue;
      const own = byPid.get(pid);
      if (own === undefined) byPid.set(pid, [frame]);
      else own.push(frame);
    }
  }
  const [most] = [...byPid].sort((a, b) => b[1].length - a[1].length);
  if (most === undefined) return undefined;
  const known = new Set(most[1]);
  return {
    pid: most[0],
    frames: most[1],
    others: frames.filter((frame) => !known.has(frame)),
  };
}
