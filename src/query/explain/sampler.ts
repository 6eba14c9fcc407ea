import { PAGE_SIZE_BYTES } from '../../base/units.js';
import { MM_ANONPAGES, MM_SWAPENTS } from '../../kernel/vm/mm.js';
import type { ForkLedger } from './fork_ledger.js';
import type { SharerSets } from './sharer_sets.js';
import { FATE } from './fork_ledger.js';
import type { ForkCurve, ProcessCurve, Timeline } from './report.js';
import type { Space } from './space.js';

/** Most points in time that a report has. */
const MOST_SAMPLES = 400;
const FIRST_INTERVAL_NS = 1e6;

/** Rows of one series, from the sample at which it began. */
interface Series {
  firstSample: number;
  readonly columns: number[][];
}

/**
 * Takes samples at even times. The interval starts small and doubles, dropping every second
 * sample, whenever there are too many: so the length of the recording need not be known.
 */
export class Sampler {
  nextNs: number;
  private readonly startNs: number;
  private intervalNs = FIRST_INTERVAL_NS;
  private readonly times: number[] = [];
  private readonly spaceSeries = new Map<number, Series>();
  private readonly forkSeries = new Map<number, Series>();

  constructor(startNs: number) {
    this.startNs = startNs;
    this.nextNs = startNs;
  }

  /** The state before `nowNs` holds at every point of the grid up to it. */
  take(
    nowNs: number,
    spaces: readonly Space[],
    forks: readonly ForkLedger[],
    sets: SharerSets,
  ): void {
    if (nowNs < this.nextNs) return;
    const at = this.gridBefore(nowNs);
    this.record(at, spaces, forks, sets);
    // The interval may have doubled.
    this.nextNs = this.gridBefore(nowNs) + this.intervalNs;
  }

  /** Last point of the grid that is not behind a time. */
  private gridBefore(nowNs: number): number {
    const index = Math.floor((nowNs - this.startNs) / this.intervalNs);
    return this.startNs + index * this.intervalNs;
  }

  /** A sample at the very end, whatever the grid says. */
  last(
    nowNs: number,
    spaces: readonly Space[],
    forks: readonly ForkLedger[],
    sets: SharerSets,
  ): void {
    if ((this.times.at(-1) ?? -1) < nowNs) this.record(nowNs, spaces, forks, sets);
  }

  timeline(): Timeline {
    const processes: ProcessCurve[] = [];
    for (const [process, { firstSample, columns }] of this.spaceSeries) {
      const [rssBytes = [], pssBytes = [], ussBytes = [], swapBytes = []] = columns;
      processes.push({ process, firstIndex: firstSample, rssBytes, pssBytes, ussBytes, swapBytes });
    }
    const forks: ForkCurve[] = [];
    for (const [fork, { firstSample, columns }] of this.forkSeries) {
      forks.push({ fork, firstIndex: firstSample, sharedBytes: columns[0] ?? [] });
    }
    return { timesNs: this.times, processes, forks };
  }

  private record(
    timeNs: number,
    spaces: readonly Space[],
    forks: readonly ForkLedger[],
    sets: SharerSets,
  ): void {
    const sums = sharedSums(spaces.length, sets);
    const sample = this.times.length;
    this.times.push(timeNs);
    for (const space of spaces) {
      if (!space.isAlive) continue;
      const { rssBytes, pssBytes, ussBytes } = memoryOf(space, sums);
      const swapBytes = (space.mm.rss[MM_SWAPENTS] ?? 0) * PAGE_SIZE_BYTES;
      append(this.spaceSeries, space.id, sample, [rssBytes, pssBytes, ussBytes, swapBytes]);
    }
    for (const [id, fork] of forks.entries()) {
      const shared = fork.counts[FATE.shared] ?? 0;
      if (shared > 0 || this.forkSeries.has(id)) {
        append(this.forkSeries, id, sample, [shared * PAGE_SIZE_BYTES]);
      }
    }
    if (this.times.length > MOST_SAMPLES) this.thin();
  }

  private thin(): void {
    this.intervalNs *= 2;
    keepEven(this.times, 0);
    for (const map of [this.spaceSeries, this.forkSeries]) {
      for (const [key, series] of map) {
        const isOdd = series.firstSample % 2 === 1;
        for (const column of series.columns) keepEven(column, isOdd ? 1 : 0);
        series.firstSample = Math.ceil(series.firstSample / 2);
        if ((series.columns[0] ?? []).length === 0) map.delete(key);
      }
    }
  }
}

/** Pages that each address space shares, and its proportional part of them. */
export interface SharedSums {
  readonly sharedPages: Float64Array;
  readonly proportionalPages: Float64Array;
}

export function sharedSums(spaceCount: number, sets: SharerSets): SharedSums {
  const sharedPages = new Float64Array(spaceCount);
  const proportionalPages = new Float64Array(spaceCount);
  sets.visitSets((members, pages) => {
    for (const member of members) {
      sharedPages[member] = (sharedPages[member] ?? 0) + pages;
      proportionalPages[member] = (proportionalPages[member] ?? 0) + pages / members.length;
    }
  });
  return { sharedPages, proportionalPages };
}

/** RSS, PSS and USS of anonymous memory. */
export function memoryOf(
  space: Space,
  sums: SharedSums,
): { rssBytes: number; pssBytes: number; ussBytes: number } {
  const rss = space.mm.rss[MM_ANONPAGES] ?? 0;
  const uss = rss - (sums.sharedPages[space.id] ?? 0);
  const pss = uss + (sums.proportionalPages[space.id] ?? 0);
  return {
    rssBytes: rss * PAGE_SIZE_BYTES,
    pssBytes: Math.round(pss * PAGE_SIZE_BYTES),
    ussBytes: uss * PAGE_SIZE_BYTES,
  };
}

function append(
  map: Map<number, Series>,
  key: number,
  sample: number,
  values: readonly number[],
): void {
  let series = map.get(key);
  if (series === undefined) {
    series = { firstSample: sample, columns: values.map(() => []) };
    map.set(key, series);
  }
  for (const [column, value] of values.entries()) series.columns[column]?.push(value);
}

function keepEven(values: number[], from: number): void {
  let kept = 0;
  for (let i = from; i < values.length; i += 2) {
    values[kept] = values[i] ?? 0;
    kept += 1;
  }
  values.length = kept;
}
