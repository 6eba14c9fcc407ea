import { PAGE_SIZE_BYTES } from '../../base/units.js';
import type { Collector } from './collector.js';
import type { RegionSummary } from './region_reports.js';
import type { CauseReport, Writer } from './report.js';
import type { Writers } from './writers.js';

/** Pages up that still count as going on from the one before. */
const SWEEP_STEP_PAGES = 8;
const SPACE_FACTOR = 2 ** 17;

interface Draft {
  readonly writer: Writer;
  readonly executable: string;
  readonly region: number;
  readonly instructions: Set<string>;
  rows: number;
  parentRows: number;
  readonly perSpace: Map<number, { rows: number; lastVpn: number }>;
  sequential: number;
  firstNs: number;
  lastNs: number;
  /** Filled in the second pass: page and space in one number. */
  keys: Float64Array;
  filled: number;
}

/** Groups copies by what wrote and where, most bytes first. */
export function causeReports(
  collector: Collector,
  writers: Writers,
  regions: RegionSummary,
): CauseReport[] {
  const drafts = new Map<string, Draft>();
  const draftOfSource = collector.sources.map((source) => {
    const writer = writers.of(source);
    const what = writer.symbol ?? (writer.offset < 0 ? '' : `+0x${writer.offset.toString(16)}`);
    const region = regions.indexOf(source.region);
    const { executable } = source.image;
    const key = [writer.modulePath, writer.module, what, region, executable].join('\0');
    let draft = drafts.get(key);
    if (draft === undefined) {
      draft = {
        writer,
        executable,
        region,
        instructions: new Set(),
        rows: 0,
        parentRows: 0,
        perSpace: new Map(),
        sequential: 0,
        firstNs: Number.POSITIVE_INFINITY,
        lastNs: 0,
        keys: new Float64Array(0),
        filled: 0,
      };
      drafts.set(key, draft);
    }
    draft.instructions.add(String(writer.offset < 0 ? source.instruction : writer.offset));
    return draft;
  });
  const { breaks } = collector;
  breaks.visit(({ source, vpn, timeNs, space, byParent }) => {
    const draft = draftOfSource[source];
    if (draft === undefined) return;
    draft.rows += 1;
    draft.parentRows += byParent;
    draft.firstNs = Math.min(draft.firstNs, timeNs);
    draft.lastNs = Math.max(draft.lastNs, timeNs);
    const own = draft.perSpace.get(space);
    if (own === undefined) {
      draft.perSpace.set(space, { rows: 1, lastVpn: vpn });
    } else {
      const step = vpn - own.lastVpn;
      if (step > 0 && step <= SWEEP_STEP_PAGES) draft.sequential += 1;
      own.rows += 1;
      own.lastVpn = vpn;
    }
  });
  for (const draft of drafts.values()) draft.keys = new Float64Array(draft.rows);
  breaks.visit(({ source, vpn, space }) => {
    const draft = draftOfSource[source];
    if (draft === undefined) return;
    draft.keys[draft.filled] = vpn * SPACE_FACTOR + space;
    draft.filled += 1;
  });
  return [...drafts.values()]
    .filter((draft) => draft.rows > 0)
    .sort((a, b) => b.rows - a.rows)
    .map((draft) => finish(collector, regions, draft));
}

function finish(collector: Collector, regions: RegionSummary, draft: Draft): CauseReport {
  draft.keys.sort();
  let distinctPages = 0;
  let pageCopiers = 0;
  let fanOut = 0;
  let vpn = -1;
  let sharers = 0;
  let previous = -1;
  for (const key of draft.keys) {
    if (key === previous) continue;
    previous = key;
    const page = Math.floor(key / SPACE_FACTOR);
    if (page !== vpn) {
      distinctPages += 1;
      sharers = 0;
      vpn = page;
    }
    sharers += 1;
    pageCopiers += 1;
    fanOut = Math.max(fanOut, sharers);
  }
  const processes = [...draft.perSpace]
    .sort((a, b) => b[1].rows - a[1].rows)
    .map(([space]) => space);
  const regionPages = regions.reports[draft.region]?.pages ?? distinctPages;
  return {
    writer: draft.writer,
    instructions: draft.instructions.size,
    executable: draft.executable,
    region: draft.region,
    bytes: draft.rows * PAGE_SIZE_BYTES,
    faults: draft.rows,
    parentBytes: draft.parentRows * PAGE_SIZE_BYTES,
    processes,
    distinctPages,
    density: regionPages === 0 ? 0 : distinctPages / regionPages,
    fanOut,
    fanOutOf: Math.max(fanOut, siblings(collector, processes)),
    meanFanOut: pageCopiers / Math.max(1, distinctPages),
    firstNs: draft.firstNs,
    lastNs: draft.lastNs,
    sequential: draft.rows < 2 ? 0 : draft.sequential / (draft.rows - 1),
  };
}

/** Children of the parents of the processes that wrote; 1 for a parent alone. */
function siblings(collector: Collector, processes: readonly number[]): number {
  const parents = new Set<number>();
  for (const process of processes) {
    const parent = collector.spaces[process]?.parent ?? -1;
    if (parent >= 0) parents.add(parent);
  }
  let count = 0;
  for (const parent of parents) {
    count += collector.forks.filter((fork) => fork.parent === parent).length;
  }
  return Math.max(1, count);
}
