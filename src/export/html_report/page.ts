import { formatCount } from '../../base/count_text.js';
import { createHash } from 'node:crypto';
import type { ExplainReport } from '../../query/explain/report.js';
import { countWords, percentWords, sizeWords, timeWords } from '../../query/explain/words.js';
import { CLIENT } from './client.js';
import { erosionChart, memoryChart } from './curves.js';
import { forkTree } from './fork_tree.js';
import { regionStrips } from './strips.js';
import { STYLE } from './style.js';
import { escapeHtml } from './svg.js';
import { causeTable, fanOutFigures, forkTable, processTable } from './tables.js';

/**
 * The report as one HTML page: no other file, no network. Its policy allows the style and the
 * script in it by their hashes and nothing else. Names from the recording are text, never markup.
 */
export function htmlReport(report: ExplainReport): string {
  const policy =
    `default-src 'none'; style-src ${hash(STYLE)}; script-src ${hash(CLIENT)}; ` +
    "base-uri 'none'; form-action 'none'";
  const title = escapeHtml(`${report.recording} – rmap explain`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${head(report)}
${sections(report)}
<footer>Anonymous memory only. Causes are first writes: later writes to a page that is already
private leave no trace. Times count from the first event of the recording.</footer>
</main>
<script type="application/json" id="report">${embeddedJson(report)}</script>
<script>${CLIENT}</script>
</body>
</html>
`;
}

function hash(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

/** JSON that cannot end the element around it. */
function embeddedJson(report: ExplainReport): string {
  return JSON.stringify(report)
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
}

function head(report: ExplainReport): string {
  const { summary, proof, lostEvents } = report;
  const { fromNs, toNs } = report.window;
  const isWhole = fromNs === 0 && toNs >= report.durationNs;
  const window = isWhole ? timeWords(toNs) : `${timeWords(fromNs)} to ${timeWords(toNs)}`;
  const proofText =
    proof.snapshots.length === 0
      ? 'no snapshot to compare with'
      : `${formatCount(proof.pagesAgree)} of ${formatCount(proof.pages)} ` +
        `pages agree with the kernel over ${countWords(proof.snapshots.length, 'snapshot')}`;
  const lost =
    lostEvents === 0
      ? ''
      : `<p class="warn">${lostEvents < 0 ? 'Some' : formatCount(lostEvents)} events ` +
        'were lost while recording: numbers after a gap are uncertain.</p>';
  const unknowns =
    report.precision === 'exact'
      ? ''
      : `<div class="warn">These numbers are ${report.precision}.<ul>${report.unknowns
          .map((unknown) => `<li>${escapeHtml(unknown)}</li>`)
          .join('')}</ul></div>`;
  return `<header><h1>rmap explain</h1><span class="meta">${escapeHtml(report.recording)} · ${window}
· ${formatCount(report.events)} events · ${report.precision}</span>
<button type="button" id="theme">dark / light</button></header>
<span class="proof ${proof.exact ? 'exact' : 'inexact'}">${proofText}</span>
<p class="lead">${unbroken(escapeHtml(summary.sentence))}</p>
${lost}${unknowns}${budgets(report)}${tiles(report)}`;
}

/** Keeps numbers and their units on one line. */
function unbroken(markup: string): string {
  return markup.replace(/(\d) (%|[KMGT]iB|B|s|ms|µs|min)(?![\w])/g, '$1\u00a0$2');
}

function budgets(report: ExplainReport): string {
  return report.budgets
    .map(({ expression, value, failed, note }) => {
      const measured = expression.startsWith('unshared')
        ? sizeWords(value)
        : `${value.toFixed(2)} %`;
      const text = `${failed ? 'Failed' : 'Passed'}: fails if ${expression}; measured ${measured}`;
      return `<p class="${failed ? 'warn' : 'note'}">${escapeHtml(note === '' ? text : `${text} (${note})`)}</p>`;
    })
    .join('');
}

function tiles({ summary }: ExplainReport): string {
  if (summary.forks === 0) return '';
  const items = [
    [sizeWords(summary.sharedBytes), `shared at ${countWords(summary.forks, 'fork')}`],
    [
      percentWords(summary.unsharedBytes, summary.sharedBytes),
      `of it unshared by writes (${sizeWords(summary.unsharedBytes)})`,
    ],
    [sizeWords(summary.copiedBytes), 'of memory spent on copies'],
    [summary.mostNs < 0 ? '–' : timeWords(summary.mostNs), 'from fork to 90 % of the copies'],
    [formatCount(summary.forkEntries), 'page-table entries copied by forks'],
  ];
  return `<div class="tiles">${items
    .map(([value, name]) => `<div class="tile"><b>${value}</b><span>${name}</span></div>`)
    .join('')}</div>`;
}

function section(
  id: string,
  title: string,
  precision: string,
  explanation: string,
  content: string,
): string {
  if (content === '') return '';
  return `<section aria-labelledby="${id}"><h2 id="${id}">${title}<small>${precision}</small></h2>
<p class="explain">${explanation}</p>${content}</section>
`;
}

function card(content: string): string {
  return content === '' ? '' : `<div class="card">${content}</div>`;
}

function sections(report: ExplainReport): string {
  const precision = report.precision === 'exact' ? 'exact' : 'estimated';
  const hasForks = report.forks.length > 0;
  return [
    section(
      'tree',
      'Fork tree',
      precision,
      'Each lane is a process. Pale: all anonymous memory that it maps. Strong: what it still ' +
        'shares with its parent, for the first process with any child. Sharing erodes to the right.',
      hasForks ? card(forkTree(report)) : '',
    ),
    section(
      'causes',
      'What unshared it',
      precision,
      'Density: distinct pages ÷ inherited pages of that memory. Fan-out: how many processes copied ' +
        'one and the same page, on average. In order: part of the writes that went on to the next pages up, ' +
        'as a collector does.',
      hasForks ? card(causeTable(report)) : '',
    ),
    section(
      'kept',
      'What would have kept it',
      'inferred',
      'Each change by itself; numbers do not add up.',
      adviceList(report),
    ),
    section(
      'erosion',
      'Erosion',
      precision,
      'Bytes that each child still has in common with its parent. Point at the chart, or focus it ' +
        'and use the arrow keys.',
      hasForks ? card(erosionChart(report)) : '',
    ),
    section(
      'strips',
      'Where pages broke, and when',
      precision,
      'Inherited pages of each kind of memory by address, one row for each process that copied.',
      hasForks ? card(regionStrips(report)) : '',
    ),
    section(
      'forks',
      'What each fork shared, and why no longer',
      precision,
      'Every page that parent and child had in common ends in one of these ways.',
      hasForks ? card(forkTable(report) + fanOutFigures(report)) : '',
    ),
    section(
      'memory',
      'Memory really used',
      precision,
      'Proportional set sizes on top of each other: together they are what the machine spends.',
      card(memoryChart(report)) + card(processTable(report)),
    ),
  ].join('');
}

function adviceList(report: ExplainReport): string {
  if (report.advice.length === 0) return '';
  return `<ul class="advice">${report.advice
    .map(
      (advice) =>
        `<li><b>${sizeWords(advice.keptBytes)}</b><h3>${escapeHtml(advice.title)}</h3>` +
        `<p>${escapeHtml(advice.detail)}</p><p class="dim">Assumes: ${escapeHtml(advice.assumption)}.</p></li>`,
    )
    .join('')}</ul>`;
}
