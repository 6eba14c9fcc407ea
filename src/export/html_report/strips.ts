import type { ExplainReport, RegionReport, Strip } from '../../query/explain/report.js';
import { countWords, percentWords, sizeWords } from '../../query/explain/words.js';
import { element, escapeHtml } from './svg.js';

const WIDTH = 1120;
const LEFT = 150;
const ROW = 20;
const TIME_CLASSES = 8;

/** One picture for each region: which of its pages were copied, by whom, and when. */
export function regionStrips(report: ExplainReport): string {
  const lengthMs = Math.max(1, (report.window.toNs - report.window.fromNs) / 1e6);
  const range = copyTimes(report, lengthMs);
  const figures = report.regions
    .map((region) =>
      region.strip === undefined ? '' : figure(report, region, region.strip, range),
    )
    .join('');
  if (figures === '') return '';
  return legend(report, range) + figures;
}

interface Range {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Times between which copies happened: the colours span these. */
function copyTimes(report: ExplainReport, lengthMs: number): Range {
  let fromMs = lengthMs;
  let toMs = 0;
  for (const { strip } of report.regions) {
    for (const row of strip?.rows ?? []) {
      for (const [bin, copied] of row.copied.entries()) {
        if (copied === 0) continue;
        fromMs = Math.min(fromMs, row.atMs[bin] ?? 0);
        toMs = Math.max(toMs, row.atMs[bin] ?? 0);
      }
    }
  }
  return { fromMs, toMs: Math.max(toMs, fromMs + 1) };
}

function legend(report: ExplainReport, { fromMs, toMs }: Range): string {
  let cells = '';
  for (let i = 0; i < TIME_CLASSES; i += 1) {
    cells += element('rect', { class: `t${i}`, x: i * 22, y: 0, width: 22, height: 10 });
  }
  const seconds = (ms: number): string =>
    `${((report.window.fromNs / 1e6 + ms) / 1000).toFixed(2)} s`;
  return (
    '<p class="legend"><span>copied early</span>' +
    element(
      'svg',
      { viewBox: '0 0 176 10', width: '176', height: '10', 'aria-hidden': 'true' },
      cells,
    ) +
    `<span>late</span><span class="dim">${seconds(fromMs)} to ${seconds(toMs)}; the taller a mark, ` +
    'the more pages of its place; grey: still as inherited</span></p>'
  );
}

function figure(report: ExplainReport, region: RegionReport, strip: Strip, range: Range): string {
  const bins = strip.pages.length;
  const cell = (WIDTH - LEFT) / bins;
  const height = strip.rows.length * ROW;
  let body = '';
  for (const [index, row] of strip.rows.entries()) {
    const process = report.processes[row.process];
    const y = index * ROW;
    const total = row.copied.reduce((sum, count) => sum + count, 0);
    let marks = '';
    for (const [bin, copied] of row.copied.entries()) {
      if (copied === 0) continue;
      const part = Math.min(1, copied / Math.max(1, strip.pages[bin] ?? 1));
      const tall = Math.max(2, part * (ROW - 5));
      const at = ((row.atMs[bin] ?? 0) - range.fromMs) / (range.toMs - range.fromMs);
      const shade = Math.max(0, Math.min(TIME_CLASSES - 1, Math.floor(at * TIME_CLASSES)));
      marks += element('rect', {
        class: `t${shade}`,
        x: LEFT + bin * cell,
        y: y + ROW - 2 - tall,
        width: Math.max(1, cell + 0.2),
        height: tall,
      });
    }
    const role = row.process === report.forks[0]?.parent ? 'parent' : 'child';
    const name = `${process?.comm.slice(0, 12) ?? '?'} ${process?.pid ?? ''}`;
    body += element(
      'g',
      {},
      `<title>${escapeHtml(`${name} (${role}) copied ${countWords(total, 'page')}`)}</title>` +
        element('rect', {
          class: 'kept',
          x: LEFT,
          y: y + 3,
          width: WIDTH - LEFT,
          height: ROW - 5,
        }) +
        marks +
        element('text', { class: 'axis', x: 0, y: y + 14 }, escapeHtml(name)),
    );
  }
  const caption =
    `<b>${escapeHtml(region.label)}</b> ${sizeWords(region.pages * 4096)} inherited, ` +
    `${percentWords(region.distinctPages, region.pages)} of its pages copied by somebody, ` +
    `${sizeWords(region.copiedBytes)} of copies ` +
    `<span class="dim">(${countWords(strip.pagesPerBin, 'page')} a column)</span>`;
  return (
    `<figure><figcaption>${caption}</figcaption>` +
    element(
      'svg',
      {
        viewBox: `0 0 ${WIDTH} ${height}`,
        role: 'img',
        'aria-label': `${region.label}: ${region.distinctPages} of ${region.pages} pages copied`,
      },
      body,
    ) +
    '</figure>'
  );
}
