import type { ExplainReport, ForkCurve, ProcessCurve } from '../../query/explain/report.js';
import { sizeWords, timeWords } from '../../query/explain/words.js';
import { bandPath, element, escapeHtml, scale, secondsLabel, ticks } from './svg.js';

const WIDTH = 1120;
const LEFT = 150;
const RIGHT = 20;
const TOP = 12;
const MOST_LANES = 28;

/** Class of the colour of a process. */
export function hue(process: number): string {
  return `h${process % 8}`;
}

interface Lane {
  readonly process: number;
  readonly depth: number;
  y: number;
}

/**
 * Processes as lanes over time. The pale band is what a process maps (RSS), the strong one what it
 * still shares with its parent (for the first process: with anybody). So the edges of the fork
 * tree thin as sharing erodes.
 */
export function forkTree(report: ExplainReport): string {
  const lanes = chooseLanes(report);
  if (lanes.length === 0) return '';
  const laneHeight = lanes.length <= 6 ? 84 : lanes.length <= 12 ? 52 : 30;
  const height = TOP + lanes.length * laneHeight + 30;
  for (const [index, lane] of lanes.entries()) lane.y = TOP + (index + 0.5) * laneHeight;
  const { fromNs, toNs } = report.window;
  const x = scale(fromNs, toNs, LEFT, WIDTH - RIGHT);
  const mostBytes = Math.max(1, ...report.timeline.processes.flatMap((curve) => curve.rssBytes));
  const thickness = scale(0, mostBytes, 0, laneHeight * 0.86);
  const laneOf = new Map(lanes.map((lane) => [lane.process, lane]));
  const curves = new Map(report.timeline.processes.map((curve) => [curve.process, curve]));
  const forkOf = new Map(report.forks.map((fork, index) => [fork.child, { fork, index }]));
  const forkCurves = new Map(report.timeline.forks.map((curve) => [curve.fork, curve]));
  let body = '';
  for (const tick of ticks(fromNs, toNs, 8)) {
    body += element('line', { class: 'grid', x1: x(tick), x2: x(tick), y1: TOP, y2: height - 24 });
    body += element(
      'text',
      { class: 'axis', x: x(tick), y: height - 8, 'text-anchor': 'middle' },
      secondsLabel(tick),
    );
  }
  let edges = '';
  let bands = '';
  for (const lane of lanes) {
    const process = report.processes[lane.process];
    if (process === undefined) continue;
    const born = forkOf.get(lane.process);
    const endNs = process.endNs < 0 ? toNs : Math.min(toNs, process.endNs);
    const startNs = Math.max(fromNs, process.startNs);
    const color = hue(lane.process);
    const outer = outerPoints(report, curves.get(lane.process), startNs, endNs);
    const inner =
      born === undefined
        ? sharedPoints(report, curves.get(lane.process), startNs, endNs)
        : forkPoints(report, forkCurves.get(born.index), born.fork.sharedBytes, startNs, endNs);
    const band = (points: Points, kind: string): string => {
      const xs = points.times.map(x);
      const half = points.bytes.map((bytes) => Math.max(0, thickness(bytes)) / 2);
      const tops = half.map((value) => lane.y - value);
      const bottoms = half.map((value) => lane.y + value);
      return element('path', { class: `${kind} ${color}`, d: bandPath(xs, tops, bottoms) });
    };
    const title = `${process.comm} ${process.pid}: ${describe(report, lane.process)}`;
    bands += element(
      'g',
      { class: 'lane' },
      `<title>${escapeHtml(title)}</title>` +
        element('line', {
          class: `life ${color}`,
          x1: x(startNs),
          x2: Math.max(x(startNs) + 2, x(endNs)),
          y1: lane.y,
          y2: lane.y,
        }) +
        band(outer, 'rss') +
        band(inner, 'shared') +
        endMark(x(endNs), lane.y, process.end),
    );
    const parent = born === undefined ? undefined : laneOf.get(born.fork.parent);
    if (born !== undefined && parent !== undefined && born.fork.timeNs >= fromNs) {
      const width = Math.max(1, Math.min(9, thickness(born.fork.sharedBytes) / 8));
      edges += element('path', {
        class: `edge ${color}`,
        'stroke-width': width,
        d: `M${x(born.fork.timeNs)} ${parent.y}V${lane.y}`,
      });
    }
    const indent = 8 + Math.min(lane.depth, 6) * 12;
    const label = process.comm === '' ? '(before exec)' : process.comm.slice(0, 15);
    body += element(
      'text',
      { class: 'lane-name', x: indent, y: lane.y - (laneHeight < 40 ? -4 : 1) },
      escapeHtml(laneHeight < 40 ? `${label} ${process.pid}` : label),
    );
    if (laneHeight >= 40) {
      body += element('text', { class: 'axis', x: indent, y: lane.y + 13 }, `pid ${process.pid}`);
    }
  }
  const hidden = report.processes.filter((process) => process.rssBytes > 0).length - lanes.length;
  const note = hidden > 0 ? `<p class="note">${hidden} smaller processes are not drawn.</p>` : '';
  return (
    element(
      'svg',
      {
        viewBox: `0 0 ${WIDTH} ${height}`,
        role: 'img',
        'aria-label': `Fork tree over time. ${report.summary.sentence}`,
      },
      body + edges + bands,
    ) + note
  );
}

interface Points {
  readonly times: number[];
  readonly bytes: number[];
}

function pointsBetween(
  report: ExplainReport,
  firstIndex: number,
  bytes: readonly number[],
  startNs: number,
  endNs: number,
): Points {
  const result: Points = { times: [], bytes: [] };
  for (const [i, value] of bytes.entries()) {
    const timeNs = report.timeline.timesNs[firstIndex + i] ?? 0;
    if (timeNs < startNs || timeNs > endNs) continue;
    result.times.push(timeNs);
    result.bytes.push(value);
  }
  return result;
}

/** Extends the last value to the end of the lane. */
function extend(result: Points, first: number, startNs: number, endNs: number): Points {
  if (result.times[0] !== startNs) {
    result.times.unshift(startNs);
    result.bytes.unshift(first);
  }
  result.times.push(endNs);
  result.bytes.push(result.bytes.at(-1) ?? first);
  return result;
}

function outerPoints(
  report: ExplainReport,
  curve: ProcessCurve | undefined,
  startNs: number,
  endNs: number,
): Points {
  const result = pointsBetween(
    report,
    curve?.firstIndex ?? 0,
    curve?.rssBytes ?? [],
    startNs,
    endNs,
  );
  return extend(result, result.bytes[0] ?? 0, startNs, endNs);
}

/** What the first process shares with anybody. */
function sharedPoints(
  report: ExplainReport,
  curve: ProcessCurve | undefined,
  startNs: number,
  endNs: number,
): Points {
  const shared = (curve?.rssBytes ?? []).map((rss, i) => rss - (curve?.ussBytes[i] ?? 0));
  const result = pointsBetween(report, curve?.firstIndex ?? 0, shared, startNs, endNs);
  return extend(result, result.bytes[0] ?? 0, startNs, endNs);
}

function forkPoints(
  report: ExplainReport,
  curve: ForkCurve | undefined,
  born: number,
  startNs: number,
  endNs: number,
): Points {
  const result = pointsBetween(
    report,
    curve?.firstIndex ?? 0,
    curve?.sharedBytes ?? [],
    startNs,
    endNs,
  );
  return extend(result, born, startNs, endNs);
}

function endMark(x: number, y: number, end: string): string {
  if (end === 'running') return '';
  return element('circle', { class: 'end', cx: x, cy: y, r: 3 });
}

function describe(report: ExplainReport, process: number): string {
  const fork = report.forks.find((other) => other.child === process);
  const own = report.processes[process];
  const copied = `${sizeWords(own?.copiedBytes ?? 0)} copied by its writes`;
  if (fork === undefined) return copied;
  return (
    `${sizeWords(fork.sharedBytes)} shared with its parent at ${timeWords(fork.timeNs)}, ` +
    `${sizeWords(fork.ends.childWrote + fork.ends.parentWrote)} unshared by writes; ${copied}`
  );
}

/** Lanes in the order of the tree: a child below its parent. */
function chooseLanes(report: ExplainReport): Lane[] {
  const weight = (process: number): number => {
    const fork = report.forks.find((other) => other.child === process);
    return Math.max(fork?.sharedBytes ?? 0, report.processes[process]?.rssBytes ?? 0);
  };
  const withMemory = report.processes
    .map((_, index) => index)
    .filter((index) => weight(index) > 0 || report.forks.some((fork) => fork.parent === index))
    .sort((a, b) => weight(b) - weight(a))
    .slice(0, MOST_LANES);
  const chosen = new Set(withMemory);
  const lanes: Lane[] = [];
  const add = (process: number, depth: number): void => {
    const isShown = chosen.has(process);
    if (isShown) lanes.push({ process, depth, y: 0 });
    for (const [index, other] of report.processes.entries()) {
      if (other.parent === process) add(index, depth + (isShown ? 1 : 0));
    }
  };
  for (const [index, process] of report.processes.entries()) {
    if (process.parent < 0) add(index, 0);
  }
  return lanes;
}
