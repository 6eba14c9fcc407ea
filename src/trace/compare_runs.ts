import { hardFlags } from './difference.js';
import type { Reporter } from './difference.js';
import type { IdPairs } from './id_pairs.js';
import type { MappedRun, StateRun, SwapRun } from './state.js';

/** What the comparison of pages pairs. */
interface PagePairing {
  readonly report: Reporter;
  readonly folios: IdPairs;
  readonly slots: IdPairs;
}

const PAGE_FIELDS = ['w', 'd', 'x', 'none', 'file', 'uffd_wp', 'ae', 'kc', 'pmc'] as const;

/**
 * Compares the pages of one VMA. Runs may be cut differently on the two sides: what is compared is
 * each stretch of pages that one run of either side covers, so the answer is that of a comparison
 * page by page.
 */
export function compareRuns(
  pairing: PagePairing,
  where: string,
  expected: readonly StateRun[],
  actual: readonly StateRun[],
): void {
  let i = 0;
  let j = 0;
  let page = 0;
  for (;;) {
    const left = expected[i];
    const right = actual[j];
    if (left === undefined && right === undefined) return;
    const leftStart = Math.max(left?.at ?? Infinity, page);
    const rightStart = Math.max(right?.at ?? Infinity, page);
    const leftEnd = left === undefined ? Infinity : left.at + left.n;
    const rightEnd = right === undefined ? Infinity : right.at + right.n;
    let end: number;
    if (left !== undefined && leftStart < rightStart) {
      end = Math.min(leftEnd, rightStart);
      missing(pairing, where, leftStart, end, describe(left), 'nothing');
    } else if (right !== undefined && rightStart < leftStart) {
      end = Math.min(rightEnd, leftStart);
      missing(pairing, where, rightStart, end, 'nothing', describe(right));
    } else {
      end = Math.min(leftEnd, rightEnd);
      if (left !== undefined && right !== undefined && leftStart < end) {
        compareStretch(pairing, where, left, right, leftStart, end);
      }
    }
    page = end;
    if (leftEnd <= end) i += 1;
    if (rightEnd <= end) j += 1;
  }
}

function missing(
  pairing: PagePairing,
  where: string,
  start: number,
  end: number,
  expected: string,
  got: string,
): void {
  pairing.report.add(place(where, start, end), 'content', expected, got);
}

function place(where: string, start: number, end: number): string {
  return end - start === 1 ? `${where} page ${start}` : `${where} pages ${start}–${end - 1}`;
}

function describe(run: StateRun): string {
  if (run.k === 'page') return `a page (${run.level})`;
  return run.k === 'swap' ? 'a swap entry' : 'a guard marker';
}

function compareStretch(
  pairing: PagePairing,
  where: string,
  expected: StateRun,
  actual: StateRun,
  start: number,
  end: number,
): void {
  if (expected.k === 'page' && actual.k === 'page') {
    comparePages(pairing, where, expected, actual, start, end);
  } else if (expected.k === 'swap' && actual.k === 'swap') {
    compareSwap(pairing, where, expected, actual, start, end);
  } else if (expected.k !== actual.k) {
    missing(pairing, where, start, end, describe(expected), describe(actual));
  }
}

function comparePages(
  pairing: PagePairing,
  where: string,
  expected: MappedRun,
  actual: MappedRun,
  start: number,
  end: number,
): void {
  const { report, folios } = pairing;
  if (!folios.match(expected.folio, actual.folio)) {
    report.paired(place(where, start, end), 'folio', folios, expected.folio, actual.folio);
  }
  if (subAt(expected, start) !== subAt(actual, start)) {
    const [left, right] = [String(subAt(expected, start)), String(subAt(actual, start))];
    report.add(place(where, start, end), 'sub', left, right);
  }
  if (expected.level !== actual.level) {
    report.add(place(where, start, end), 'level', expected.level, actual.level);
  }
  for (const field of PAGE_FIELDS) {
    const [left, right] = [expected[field] ?? 0, actual[field] ?? 0];
    if (left !== right) report.add(place(where, start, end), field, String(left), String(right));
  }
  if (expected.kf === actual.kf) return;
  const left = hardFlags(expected.kf?.split(','));
  const right = hardFlags(actual.kf?.split(','));
  if (left !== right) report.add(place(where, start, end), 'kpageflags', left, right);
}

/** Index in the folio of a page of the run; the zero page has none. */
function subAt(run: MappedRun, page: number): number {
  return run.sub === undefined ? -1 : run.sub + page - run.at;
}

function compareSwap(
  pairing: PagePairing,
  where: string,
  expected: SwapRun,
  actual: SwapRun,
  start: number,
  end: number,
): void {
  const { report, slots } = pairing;
  report.equal(place(where, start, end), 'se', expected.se, actual.se);
  report.equal(place(where, start, end), 'type', expected.type, actual.type);
  report.equal(place(where, start, end), 'level', expected.level, actual.level);
  for (let page = start; page < end; page += 1) {
    const left = String(expected.slot + page - expected.at);
    const right = String(actual.slot + page - actual.at);
    if (!slots.match(left, right))
      report.paired(`${where} page ${page}`, 'slot', slots, left, right);
  }
}
