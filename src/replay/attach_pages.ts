import { RUN, type Snapshot } from '../trace/snapshot.js';

/** A page of a process, as a snapshot lists it. */
export interface AttachPage {
  /** Row of the process in `AttachPages.pids`. */
  readonly member: number;
  readonly vpn: number;
}

/** A frame that is mapped more than once, by whom. */
export interface SharedFrame {
  readonly pfn: number;
  readonly isKsm: boolean;
  readonly pages: readonly AttachPage[];
  /** Mappings by processes outside of the snapshot. */
  readonly outside: number;
}

/** Pages of a snapshot by how they must be made. */
export interface AttachPages {
  readonly pids: readonly number[];
  readonly shared: readonly SharedFrame[];
  /** Pages that nobody else maps, by member, ascending. */
  readonly own: readonly number[][];
  /** Pages in swap, by member, ascending. */
  readonly swapped: readonly number[][];
  /** First pages and counts of runs of zero pages, by member. */
  readonly zero: ReadonlyArray<ReadonlyArray<readonly [page: number, count: number]>>;
}

/** One anonymous page-table entry. */
interface Entry {
  readonly member: number;
  readonly vpn: number;
  readonly mapcount: number;
  readonly isKsm: boolean;
}

/** Joins the pages of some processes of a snapshot by their frames. */
export function joinPages(snapshot: Snapshot, pids: readonly number[]): AttachPages {
  const members = new Map(pids.map((pid, member) => [pid, member]));
  const own: number[][] = pids.map(() => []);
  const swapped: number[][] = pids.map(() => []);
  const zero: Array<Array<readonly [number, number]>> = pids.map(() => []);
  const byFrame = new Map<number, Entry[]>();
  const { runs } = snapshot;
  for (const vma of snapshot.vmas) {
    const member = members.get(vma.pid);
    if (member === undefined) continue;
    for (let run = vma.runStart; run < vma.runEnd; run += 1) {
      const kind = runs.kind[run] ?? 0;
      const page = runs.page[run] ?? 0;
      const count = runs.count[run] ?? 0;
      const pfn = runs.pfn[run] ?? -1;
      const mapcount = runs.mapcount[run] ?? 0;
      const isKsm = kind === RUN.ksm;
      if (kind === RUN.zero) zero[member]?.push([page, count]);
      else if (kind === RUN.swap) pushRange(swapped[member], page, count);
      else if (kind === RUN.anon || kind === RUN.huge || isKsm) {
        // Without a frame number, as unprivileged snapshots are, nothing tells of sharing.
        if (pfn < 0 || (mapcount <= 1 && !isKsm)) pushRange(own[member], page, count);
        else addEntries(byFrame, pfn, count, { member, vpn: page, mapcount, isKsm });
      }
    }
  }
  const shared: SharedFrame[] = [];
  for (const [pfn, entries] of byFrame) {
    const frame = frameOf(pfn, entries);
    if (frame.pages.length + frame.outside > 1) shared.push(frame);
    else for (const { member, vpn } of frame.pages) own[member]?.push(vpn);
  }
  for (const vpns of own) vpns.sort((a, b) => a - b);
  return { pids, shared, own, swapped, zero };
}

function frameOf(pfn: number, entries: readonly Entry[]): SharedFrame {
  const mapcount = entries[0]?.mapcount ?? 0;
  return {
    pfn,
    isKsm: entries.some((entry) => entry.isKsm),
    pages: entries.map(({ member, vpn }) => ({ member, vpn })),
    outside: Math.max(0, mapcount - entries.length),
  };
}

function pushRange(pages: number[] | undefined, first: number, count: number): void {
  for (let i = 0; i < count; i += 1) pages?.push(first + i);
}

function addEntries(
  byFrame: Map<number, Entry[]>,
  firstPfn: number,
  count: number,
  first: Entry,
): void {
  for (let i = 0; i < count; i += 1) {
    const entry = { ...first, vpn: first.vpn + i };
    const entries = byFrame.get(firstPfn + i);
    if (entries === undefined) byFrame.set(firstPfn + i, [entry]);
    else entries.push(entry);
  }
}

/** Groups of members that share pages, each with its frames; members without any are alone. */
export interface AttachFamily {
  readonly members: readonly number[];
  /** Frames at one address in all members; no KSM. */
  readonly frames: readonly SharedFrame[];
}

/** Splits the processes into families that share pages by fork. */
export function familiesOf(pages: AttachPages): AttachFamily[] {
  const parent = pages.pids.map((_, member) => member);
  const rootOf = (member: number): number => {
    let root = member;
    while (parent[root] !== root) root = parent[root] ?? root;
    parent[member] = root;
    return root;
  };
  const inherited = pages.shared.filter(isInherited);
  for (const frame of inherited) {
    const first = rootOf(frame.pages[0]?.member ?? 0);
    for (const { member } of frame.pages) parent[rootOf(member)] = first;
  }
  const families = new Map<number, { members: number[]; frames: SharedFrame[] }>();
  for (const [member] of pages.pids.entries()) {
    const root = rootOf(member);
    const family = families.get(root);
    if (family === undefined) families.set(root, { members: [member], frames: [] });
    else family.members.push(member);
  }
  for (const frame of inherited) {
    families.get(rootOf(frame.pages[0]?.member ?? 0))?.frames.push(frame);
  }
  return [...families.values()];
}

/** Fork shares a page at one address, with at most one mapping in each process. */
export function isInherited(frame: SharedFrame): boolean {
  if (frame.isKsm) return false;
  const vpn = frame.pages[0]?.vpn;
  const members = new Set(frame.pages.map(({ member }) => member));
  return members.size === frame.pages.length && frame.pages.every((page) => page.vpn === vpn);
}
