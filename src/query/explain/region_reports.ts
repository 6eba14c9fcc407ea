import { PAGE_SIZE_BYTES } from '../../base/units.js';
import type { Collector } from './collector.js';
import { PageSet } from './page_set.js';
import type { RegionReport, Strip } from './report.js';

const MOST_BINS = 240;
const MOST_STRIPS = 8;
/** Smaller regions have no picture, but for the first. */
const LEAST_COPIES = 32;
const MOST_ROWS = 12;

/** Regions of the collector's numbering that the report has, most copied first. */
export interface RegionSummary {
  readonly reports: readonly RegionReport[];
  /** Index in `reports` of a region number, or −1. */
  readonly indexOf: (region: number) => number;
}

interface Tally {
  readonly region: number;
  readonly pages: PageSet;
  readonly copied: PageSet;
  sharedPages: number;
  copies: number;
}

/** Sums over the pages of forks and over copies, by region. */
export function regionReports(collector: Collector): RegionSummary {
  const tallies = collector.regions.all.map((_, region): Tally => ({
    region,
    pages: new PageSet(),
    copied: new PageSet(),
    sharedPages: 0,
    copies: 0,
  }));
  for (const fork of collector.forks) {
    let area = 0;
    fork.forEachPage((vpn) => {
      while (area < fork.areas.length && (fork.areas[area]?.end ?? 0) <= vpn) area += 1;
      const tally = tallies[fork.areas[area]?.region ?? -1];
      if (tally === undefined) return;
      tally.pages.add(vpn);
      tally.sharedPages += 1;
    });
  }
  const { breaks, sources } = collector;
  breaks.visit(({ source, vpn }) => {
    const tally = tallies[sources[source]?.region ?? -1];
    if (tally === undefined) return;
    tally.copies += 1;
    tally.copied.add(vpn);
    // A region is named at the time: a page that was another's at the fork belongs here too.
    tally.pages.add(vpn);
  });
  const kept = tallies
    .filter((tally) => tally.pages.size > 0)
    .sort((a, b) => (b.copies === a.copies ? b.sharedPages - a.sharedPages : b.copies - a.copies));
  const strips = stripsOf(
    collector,
    kept
      .filter((tally, rank) => tally.copies >= (rank === 0 ? 1 : LEAST_COPIES))
      .slice(0, MOST_STRIPS),
  );
  const reports = kept.map((tally): RegionReport => {
    const region = collector.regions.all[tally.region];
    return {
      kind: region?.kind ?? 'anonymous',
      label: region?.label ?? '',
      executable: region?.image.executable ?? '',
      pages: tally.pages.size,
      sharedBytes: tally.sharedPages * PAGE_SIZE_BYTES,
      copiedBytes: tally.copies * PAGE_SIZE_BYTES,
      distinctPages: tally.copied.size,
      strip: strips.get(tally.region),
    };
  });
  const places = new Map(kept.map((tally, index) => [tally.region, index]));
  return { reports, indexOf: (region) => places.get(region) ?? -1 };
}

interface StripRow {
  readonly copied: number[];
  readonly sumMs: number[];
  total: number;
}

/** Where and when pages broke: one pass over all copies. */
function stripsOf(collector: Collector, tallies: readonly Tally[]): Map<number, Strip> {
  const { breaks, sources } = collector;
  const startNs = collector.windowFromNs;
  const drafts = new Map(
    tallies.map((tally) => {
      tally.pages.seal();
      const pagesPerBin = Math.max(1, Math.ceil(tally.pages.size / MOST_BINS));
      const bins = Math.ceil(tally.pages.size / pagesPerBin);
      return [tally.region, { tally, pagesPerBin, bins, rows: new Map<number, StripRow>() }];
    }),
  );
  breaks.visit(({ source, vpn, space, timeNs }) => {
    const draft = drafts.get(sources[source]?.region ?? -1);
    if (draft === undefined) return;
    const rank = draft.tally.pages.rank(vpn);
    let strip = draft.rows.get(space);
    if (strip === undefined) {
      const zeros = (): number[] => new Array<number>(draft.bins).fill(0);
      strip = { copied: zeros(), sumMs: zeros(), total: 0 };
      draft.rows.set(space, strip);
    }
    const bin = Math.floor(rank / draft.pagesPerBin);
    strip.copied[bin] = (strip.copied[bin] ?? 0) + 1;
    strip.sumMs[bin] = (strip.sumMs[bin] ?? 0) + (timeNs - startNs) / 1e6;
    strip.total += 1;
  });
  const result = new Map<number, Strip>();
  for (const [region, { tally, pagesPerBin, bins, rows }] of drafts) {
    const pages = new Array<number>(bins).fill(pagesPerBin);
    pages[bins - 1] = tally.pages.size - (bins - 1) * pagesPerBin;
    const most = [...rows].sort((a, b) => b[1].total - a[1].total).slice(0, MOST_ROWS);
    result.set(region, {
      firstAddress: tally.pages.firstPage * PAGE_SIZE_BYTES,
      pagesPerBin,
      pages,
      rows: most
        .sort((a, b) => a[0] - b[0])
        .map(([process, { copied, sumMs }]) => ({
          process,
          copied,
          atMs: sumMs.map((sum, bin) => {
            const count = copied[bin] ?? 0;
            return count === 0 ? 0 : Math.round((10 * sum) / count) / 10;
          }),
        })),
    });
  }
  return result;
}
