import type { LiveReport } from '../query/live.js';
import { anonVmaColumns, anonVmaLines } from './anon_vma_text.js';
import { formatBytes, formatCount } from './format.js';
import { escapeHtml, htmlPage, htmlTable } from './html_page.js';
import { printable } from './sanitize.js';
import { headline, methodLine, nextWorkerLine, processColumns } from './live_text.js';

function cellText(value: string | number, isBytes: boolean, exact: boolean): string {
  if (typeof value === 'string') return printable(value);
  return isBytes ? formatBytes(value, exact) : formatCount(value);
}

/** The sharing matrix with a background as dark as the share of the largest cell. */
function matrixHtml({ matrix }: LiveReport, exact: boolean): string {
  const { pids, bytes } = matrix;
  const largest = bytes.reduce((most, row) => row.reduce((a, b) => Math.max(a, b), most), 1);
  const head = pids.map((pid) => `<th>${pid}</th>`).join('');
  const body = pids.map((pid, row) => {
    const cells = pids.map((_, column) => {
      const value = bytes[row]?.[column] ?? 0;
      const strength = (0.6 * Math.sqrt(value / largest)).toFixed(3);
      const text = formatBytes(value, exact);
      return `<td style="background:rgba(40,120,200,${strength})">${text}</td>`;
    });
    return `<tr><th>${pid}</th>${cells.join('')}</tr>`;
  });
  return `<div class="scroll"><table><tr><th></th>${head}</tr>${body.join('')}</table></div>`;
}

function anonVmasHtml(report: LiveReport, exact: boolean): string {
  const view = report.anonVmas;
  if (view === undefined) return '';
  const columns = anonVmaColumns(report).map((column) => ({
    header: column.header,
    isText: column.unit === undefined,
    value: (row: (typeof view.processes)[number]) => cellText(column.value(row), false, exact),
  }));
  return [
    '<h2>anon_vmas <span class="dim">(exact)</span></h2>',
    ...anonVmaLines(view, exact).map((line) => `<p>${escapeHtml(line)}</p>`),
    htmlTable(view.processes, columns),
  ].join('\n');
}

/** A report as a page in one file, without scripts. */
export function liveHtml(report: LiveReport, exact: boolean): string {
  const columns = processColumns(report).map((column) => ({
    header: column.header,
    isText: column.unit === undefined,
    value: (row: LiveReport['processes'][number]) =>
      cellText(column.value(row), column.unit === 'bytes', exact),
  }));
  const worker = nextWorkerLine(report, exact);
  const sets = htmlTable(report.sharedBy.slice(0, 50), [
    { header: 'anonymous', value: (set) => formatBytes(set.anonBytes, exact) },
    { header: 'files', value: (set) => formatBytes(set.fileBytes, exact) },
    { header: 'processes', value: (set) => formatCount(set.pids.length) },
    {
      header: 'PIDs',
      isText: true,
      value: (set) => `${set.pids.slice(0, 12).join(' ')}${set.pids.length > 12 ? ' …' : ''}`,
    },
  ]);
  const body = [
    `<p>${escapeHtml(headline(report, exact))}</p>`,
    worker === undefined ? '' : `<p>${escapeHtml(worker)}</p>`,
    `<h2>Processes by PSS <span class="dim">(${report.precision})</span></h2>`,
    htmlTable(report.processes, columns),
    '<h2>Shared by two <span class="dim">(diagonal: by nobody)</span></h2>',
    matrixHtml(report, exact),
    '<h2>Exact sets of sharers</h2>',
    sets,
    anonVmasHtml(report, exact),
    `<p class="dim">${escapeHtml(report.time)}; ${escapeHtml(methodLine(report))}</p>`,
  ];
  return htmlPage('rmap live', body.join('\n'));
}
