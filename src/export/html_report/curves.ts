import type { ExplainReport } from '../../query/explain/report.js';
import { sizeWords } from '../../query/explain/words.js';
import { hue } from './fork_tree.js';
import {
  bandPath,
  element,
  escapeHtml,
  linePath,
  scale,
  secondsLabel,
  sizeUnit,
  ticks,
} from './svg.js';

const WIDTH = 1120;
const HEIGHT = 250;
const BOX = { left: 64, right: 150, top: 12, bottom: 28 };
const MOST_LINES = 10;

interface Line {
  readonly name: string;
  readonly color: string;
  readonly times: readonly number[];
  readonly values: readonly number[];
}

/** Bytes still shared with the parent, one line for each fork. */
export function erosionChart(report: ExplainReport): string {
  const { timesNs, forks } = report.timeline;
  const lines = forks
    .map(({ fork, firstIndex, sharedBytes }): Line & { born: number } => {
      const own = report.forks[fork];
      const process = report.processes[own?.child ?? -1];
      const endNs = process === undefined || process.endNs < 0 ? Infinity : process.endNs;
      const times = sharedBytes.map((_, i) => timesNs[firstIndex + i] ?? 0);
      const kept = times.filter((timeNs) => timeNs <= endNs && timeNs >= (own?.timeNs ?? 0)).length;
      const skip = times.findIndex((timeNs) => timeNs >= (own?.timeNs ?? 0));
      const from = Math.max(0, skip);
      const isFromFork = own?.bornInWindow === true;
      const values = sharedBytes.slice(from, from + kept);
      const last = values.at(-1) ?? own?.sharedBytes ?? 0;
      const tail = endNs < report.window.toNs ? [endNs] : [];
      return {
        name: `${process?.comm.slice(0, 14) ?? '?'} ${process?.pid ?? ''}`,
        color: hue(own?.child ?? 0),
        times: [...(isFromFork ? [own.timeNs] : []), ...times.slice(from, from + kept), ...tail],
        values: [...(isFromFork ? [own.sharedBytes] : []), ...values, ...tail.map(() => last)],
        born: own?.sharedBytes ?? 0,
      };
    })
    .sort((a, b) => b.born - a.born)
    .slice(0, MOST_LINES);
  if (lines.length === 0) return '';
  const most = Math.max(1, ...lines.flatMap((line) => line.values));
  const frame = chartFrame(report, most);
  let body = frame.axes;
  const labels: Array<{ y: number; line: Line }> = [];
  for (const line of lines) {
    const xs = line.times.map(frame.x);
    const ys = line.values.map(frame.y);
    body += element(
      'path',
      { class: `line ${line.color}`, d: linePath(xs, ys) },
      `<title>${escapeHtml(`${line.name}: ${sizeWords(line.values[0] ?? 0)} at fork, ${sizeWords(line.values.at(-1) ?? 0)} at its end`)}</title>`,
    );
    body += element('circle', {
      class: `dot ${line.color}`,
      cx: xs.at(-1) ?? 0,
      cy: ys.at(-1) ?? 0,
      r: 3,
    });
    labels.push({ y: ys.at(-1) ?? 0, line });
  }
  body += placeLabels(labels);
  return chart(report, 'Memory still shared with the parent, over time', body, 'erosion');
}

/** PSS of each process on top of each other, and the sum of RSS as people add it up. */
export function memoryChart(report: ExplainReport): string {
  const { timesNs, processes } = report.timeline;
  const order = [...processes]
    .filter((curve) => curve.rssBytes.some((bytes) => bytes > 0))
    .sort((a, b) => a.process - b.process);
  if (timesNs.length < 2 || order.length === 0) return '';
  const base = new Array<number>(timesNs.length).fill(0);
  const rssSums = new Array<number>(timesNs.length).fill(0);
  for (const curve of order) {
    for (const [i, bytes] of curve.rssBytes.entries()) {
      rssSums[curve.firstIndex + i] = (rssSums[curve.firstIndex + i] ?? 0) + bytes;
    }
  }
  const frame = chartFrame(report, Math.max(1, ...rssSums));
  const xs = timesNs.map(frame.x);
  let body = frame.axes;
  for (const curve of order) {
    const process = report.processes[curve.process];
    const tops = base.map((value, i) => value + (curve.pssBytes[i - curve.firstIndex] ?? 0));
    const first = Math.max(0, curve.firstIndex - 1);
    const last = Math.min(timesNs.length, curve.firstIndex + curve.pssBytes.length + 1);
    body += element(
      'path',
      {
        class: `area ${hue(curve.process)}`,
        d: bandPath(
          xs.slice(first, last),
          tops.slice(first, last).map(frame.y),
          base.slice(first, last).map(frame.y),
        ),
      },
      `<title>${escapeHtml(`PSS of ${process?.comm ?? '?'} ${process?.pid ?? ''}`)}</title>`,
    );
    for (const [i, top] of tops.entries()) base[i] = top;
  }
  body += element('path', { class: 'total', d: linePath(xs, rssSums.map(frame.y)) });
  const peak = rssSums.indexOf(Math.max(...rssSums));
  const factor = (rssSums[peak] ?? 0) / Math.max(1, base[peak] ?? 1);
  const label =
    factor < 1.05 ? 'sum of RSS' : `sum of RSS: ${factor.toFixed(1)} × what is really used`;
  const atRight = (xs[peak] ?? 0) > WIDTH / 2;
  body += element(
    'text',
    {
      class: 'axis',
      x: (xs[peak] ?? 0) + (atRight ? -6 : 6),
      y: frame.y(rssSums[peak] ?? 0) + 12,
      'text-anchor': atRight ? 'end' : 'start',
    },
    escapeHtml(label),
  );
  return chart(report, 'Proportional memory of all processes, over time', body, 'memory');
}

interface Frame {
  readonly x: (timeNs: number) => number;
  readonly y: (bytes: number) => number;
  readonly axes: string;
}

function chartFrame(report: ExplainReport, mostBytes: number): Frame {
  const { fromNs, toNs } = report.window;
  const x = scale(fromNs, toNs, BOX.left, WIDTH - BOX.right);
  const unit = sizeUnit(mostBytes);
  const y = scale(0, mostBytes * 1.04, HEIGHT - BOX.bottom, BOX.top);
  let axes = '';
  for (const tick of ticks(0, mostBytes, 4, unit)) {
    axes += element('line', {
      class: 'grid',
      x1: BOX.left,
      x2: WIDTH - BOX.right,
      y1: y(tick),
      y2: y(tick),
    });
    axes += element(
      'text',
      { class: 'axis', x: BOX.left - 8, y: y(tick) + 4, 'text-anchor': 'end' },
      tick === 0 ? '0' : sizeWords(tick).replace('.0 ', ' '),
    );
  }
  for (const tick of ticks(fromNs, toNs, 8)) {
    axes += element(
      'text',
      { class: 'axis', x: x(tick), y: HEIGHT - 8, 'text-anchor': 'middle' },
      secondsLabel(tick),
    );
  }
  return { x, y, axes };
}

/** Labels at the right, pushed apart so that they do not overlap. */
function placeLabels(labels: ReadonlyArray<{ y: number; line: Line }>): string {
  const sorted = [...labels].sort((a, b) => a.y - b.y);
  const step = Math.min(15, (HEIGHT - 20) / Math.max(1, sorted.length));
  const places: number[] = [];
  for (const [i, { y }] of sorted.entries()) {
    places.push(i === 0 ? y : Math.max(y, (places[i - 1] ?? 0) + step));
  }
  const over = Math.max(0, (places.at(-1) ?? 0) - (HEIGHT - BOX.bottom));
  return sorted
    .map(({ line }, i) =>
      element(
        'text',
        { class: `label ${line.color}`, x: WIDTH - BOX.right + 10, y: (places[i] ?? 0) - over + 4 },
        escapeHtml(line.name),
      ),
    )
    .join('');
}

/** A chart with the data that the pointer needs: the client draws the cross-hair. */
function chart(report: ExplainReport, label: string, body: string, kind: string): string {
  const { fromNs, toNs } = report.window;
  return element(
    'svg',
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: 'img',
      tabindex: '0',
      class: 'chart',
      'aria-label': label,
      'data-kind': kind,
      'data-left': BOX.left,
      'data-right': WIDTH - BOX.right,
      'data-from': String(fromNs),
      'data-to': String(toNs),
    },
    body +
      element('line', {
        class: 'cross',
        x1: 0,
        x2: 0,
        y1: BOX.top,
        y2: HEIGHT - BOX.bottom,
        visibility: 'hidden',
      }),
  );
}
