import { formatCount } from '../../base/count_text.js';
import { writerWords } from '../../query/explain/advice.js';
import type { CauseReport, ExplainReport, ForkReport } from '../../query/explain/report.js';
import { percentWords, sizeWords, timeWords } from '../../query/explain/words.js';
import { hue } from './fork_tree.js';
import { element, escapeHtml } from './svg.js';

const MOST_CAUSES = 60;
const MOST_FORKS = 40;
const BAR_WIDTH = 220;

interface Cell {
  readonly markup: string;
  /** What the column is sorted by. */
  readonly key: string | number;
}

function cell(text: string, key: string | number = text): Cell {
  return { markup: escapeHtml(text), key };
}

function table(
  caption: string,
  heads: ReadonlyArray<readonly [string, 'text' | 'number']>,
  rows: ReadonlyArray<readonly Cell[]>,
): string {
  const head = heads
    .map(
      ([name, type], column) =>
        `<th scope="col" class="${type}"${column === 0 ? ' aria-sort="descending"' : ''}>` +
        `<button type="button">${escapeHtml(name)}</button></th>`,
    )
    .join('');
  const body = rows
    .map(
      (row) =>
        `<tr>${row
          .map(
            ({ markup, key }, column) =>
              `<td class="${heads[column]?.[1] ?? 'text'}" data-key="${escapeHtml(String(key))}">${markup}</td>`,
          )
          .join('')}</tr>`,
    )
    .join('');
  return (
    `<div class="scroll"><table class="sortable"><caption>${escapeHtml(caption)}</caption>` +
    `<thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`
  );
}

/** Writers by bytes unshared. */
export function causeTable(report: ExplainReport): string {
  if (report.causes.length === 0) return '<p>No write hit a shared page.</p>';
  const most = report.causes[0]?.bytes ?? 1;
  const rows = report.causes.slice(0, MOST_CAUSES).map((cause) => causeRow(report, cause, most));
  const hidden = report.causes.length - rows.length;
  return (
    table(
      'Writers that broke sharing, by memory copied',
      [
        ['unshared', 'number'],
        ['faults', 'number'],
        ['writer', 'text'],
        ['memory', 'text'],
        ['by', 'text'],
        ['density', 'number'],
        ['fan-out', 'number'],
        ['in order', 'number'],
        ['when', 'number'],
      ],
      rows,
    ) + (hidden > 0 ? `<p class="note">${hidden} smaller causes are in the JSON report.</p>` : '')
  );
}

function causeRow(report: ExplainReport, cause: CauseReport, most: number): Cell[] {
  const region = report.regions[cause.region]?.label ?? 'unknown';
  const isParent = cause.parentBytes === cause.bytes;
  const by = cause.parentBytes === 0 ? 'children' : isParent ? 'parent' : 'both';
  const bar = element(
    'svg',
    { class: 'bar', viewBox: '0 0 100 6', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    element('rect', { width: Math.max(0.5, (100 * cause.bytes) / most), height: 6 }),
  );
  const { modulePath, offset, symbol, linkerSymbol } = cause.writer;
  const place = modulePath === '' ? [] : [`${modulePath}+0x${offset.toString(16)}`];
  const whole = linkerSymbol === undefined ? [] : [symbol ?? '', linkerSymbol];
  const title = [...whole, ...place].join(' · ');
  const path = title === '' ? '' : ` title="${escapeHtml(title)}"`;
  const who = cause.processes
    .slice(0, 8)
    .map((index) => String(report.processes[index]?.pid ?? '?'))
    .join(', ');
  return [
    { markup: `${escapeHtml(sizeWords(cause.bytes))}${bar}`, key: cause.bytes },
    cell(formatCount(cause.faults), cause.faults),
    {
      markup: `<code${path}>${escapeHtml(writerWords(cause.writer))}</code>`,
      key: writerWords(cause.writer),
    },
    cell(region),
    { markup: `<span title="pid ${escapeHtml(who)}">${by}</span>`, key: by },
    cell(percentWords(cause.density, 1), cause.density),
    isParent
      ? cell('–', 0)
      : cell(`${cause.meanFanOut.toFixed(1)} of ${cause.fanOutOf}`, cause.meanFanOut),
    cell(percentWords(cause.sequential, 1), cause.sequential),
    cell(`${timeWords(cause.firstNs)} – ${timeWords(cause.lastNs)}`, cause.firstNs),
  ];
}

/** Kinds of ends in the order of the bar. */
function fateParts({
  ends,
  stillSharedBytes,
}: ForkReport): ReadonlyArray<readonly [string, string, number]> {
  return [
    ['f-child', 'child wrote', ends.childWrote],
    ['f-parent', 'parent wrote', ends.parentWrote],
    ['f-drop', 'discarded', ends.childDiscarded + ends.parentDiscarded + ends.other],
    ['f-exec', 'kept until exec', ends.childExec + ends.parentExec],
    ['f-exit', 'kept until exit', ends.childExit + ends.parentExit],
    ['f-still', 'still shared', stillSharedBytes],
  ];
}

/** What each fork shared at birth and what became of it. */
export function forkTable(report: ExplainReport): string {
  const forks = [...report.forks].sort((a, b) => b.sharedBytes - a.sharedBytes);
  const most = Math.max(1, forks[0]?.sharedBytes ?? 1);
  const rows = forks.slice(0, MOST_FORKS).map((fork): Cell[] => {
    const child = report.processes[fork.child];
    const parent = report.processes[fork.parent];
    let x = 0;
    let bars = '';
    for (const [className, name, bytes] of fateParts(fork)) {
      if (bytes === 0) continue;
      const width = (BAR_WIDTH * bytes) / most;
      const title = `${name}: ${sizeWords(bytes)} (${percentWords(bytes, fork.sharedBytes)})`;
      bars += element(
        'rect',
        { class: className, x, width: Math.max(0.6, width), height: 12 },
        `<title>${escapeHtml(title)}</title>`,
      );
      x += width;
    }
    const written = fork.ends.childWrote + fork.ends.parentWrote;
    const label = fateParts(fork)
      .filter(([, , bytes]) => bytes > 0)
      .map(([, name, bytes]) => `${name} ${sizeWords(bytes)}`)
      .join(', ');
    const svg = element(
      'svg',
      { class: 'fates', viewBox: `0 0 ${BAR_WIDTH} 12`, role: 'img', 'aria-label': label },
      bars,
    );
    return [
      cell(sizeWords(fork.sharedBytes), fork.sharedBytes),
      cell(timeWords(fork.timeNs), fork.timeNs),
      {
        markup:
          `<span class="swatch ${hue(fork.child)}"></span>` +
          escapeHtml(`${child?.comm ?? '?'} ${child?.pid ?? ''}`) +
          `<span class="dim"> from ${parent?.pid ?? '?'}</span>`,
        key: child?.pid ?? 0,
      },
      { markup: svg, key: written },
      cell(percentWords(written, fork.sharedBytes), written / Math.max(1, fork.sharedBytes)),
      fork.halfNs < 0 ? cell('–', -1) : cell(timeWords(fork.halfNs), fork.halfNs),
      cell(formatCount(fork.copiedEntries), fork.copiedEntries),
      fork.hugeBytes === 0 ? cell('–', 0) : cell(sizeWords(fork.hugeBytes), fork.hugeBytes),
    ];
  });
  const hidden = forks.length - rows.length;
  return (
    fateLegend() +
    table(
      'Forks, and why their pages are no longer shared',
      [
        ['shared at birth', 'number'],
        ['at', 'number'],
        ['child', 'text'],
        ['what became of it', 'text'],
        ['unshared by writes', 'number'],
        ['half within', 'number'],
        ['entries copied', 'number'],
        ['in 2 MiB pages', 'number'],
      ],
      rows,
    ) +
    (hidden > 0 ? `<p class="note">${hidden} smaller forks are in the JSON report.</p>` : '')
  );
}

function fateLegend(): string {
  const names = [
    ['f-child', 'child wrote'],
    ['f-parent', 'parent wrote'],
    ['f-drop', 'discarded'],
    ['f-exec', 'kept until exec'],
    ['f-exit', 'kept until exit'],
    ['f-still', 'still shared'],
  ];
  return `<p class="legend">${names
    .map(([className, name]) => `<span><i class="swatch ${className}"></i>${name}</span>`)
    .join('')}</p>`;
}

/** How many children copied one and the same page. */
export function fanOutFigures(report: ExplainReport): string {
  return report.fanOut
    .slice(0, 3)
    .map(({ parent, children, pagesByChildren }) => {
      const total = pagesByChildren.reduce((sum, pages) => sum + pages, 0);
      if (total === 0) return '';
      const most = Math.max(...pagesByChildren);
      const process = report.processes[parent];
      const rows = [...pagesByChildren.entries()]
        .filter(([count, pages]) => count > 0 && pages > 0)
        .slice(0, 12)
        .map(([count, pages]) => {
          const bar = element(
            'svg',
            {
              class: 'fan',
              viewBox: '0 0 300 12',
              preserveAspectRatio: 'none',
              'aria-hidden': 'true',
            },
            element('rect', { width: Math.max(1, (300 * pages) / most), height: 12 }),
          );
          return (
            `<tr><th scope="row">${count} of ${children.length}</th><td>${bar}</td>` +
            `<td class="number">${formatCount(pages)} pages</td></tr>`
          );
        })
        .join('');
      const name = escapeHtml(`${process?.comm ?? '?'} ${process?.pid ?? ''}`);
      return (
        `<table class="plain"><caption>Pages of ${name} by how many of its children copied ` +
        `them</caption><tbody>${rows}</tbody></table>`
      );
    })
    .join('');
}

export function processTable(report: ExplainReport): string {
  const rows = report.processes
    .map((process, index) => ({ process, index }))
    .filter(({ process }) => process.rssBytes > 0 || process.copiedBytes > 0)
    .sort((a, b) => b.process.rssBytes - a.process.rssBytes)
    .slice(0, MOST_FORKS)
    .map(({ process, index }): Cell[] => [
      cell(sizeWords(process.rssBytes), process.rssBytes),
      {
        markup:
          `<span class="swatch ${hue(index)}"></span>` +
          escapeHtml(`${process.comm} ${process.pid}`),
        key: process.pid,
      },
      cell(
        process.end === 'running'
          ? 'end of recording'
          : `${process.end} at ${timeWords(process.endNs)}`,
        process.endNs,
      ),
      cell(sizeWords(process.pssBytes), process.pssBytes),
      cell(sizeWords(process.ussBytes), process.ussBytes),
      cell(sizeWords(process.mostUssBytes), process.mostUssBytes),
      cell(sizeWords(process.copiedBytes), process.copiedBytes),
      cell(sizeWords(process.zeroBytes), process.zeroBytes),
    ]);
  return table(
    'Anonymous memory of each process, at the end of the window or when it ended',
    [
      ['RSS', 'number'],
      ['process', 'text'],
      ['until', 'number'],
      ['PSS', 'number'],
      ['USS', 'number'],
      ['most USS', 'number'],
      ['copied', 'number'],
      ['zero pages', 'number'],
    ],
    rows,
  );
}
