import { writerWords } from '../../query/explain/advice.js';
import type {
  CauseReport,
  ExplainReport,
  ForkReport,
  ProcessReport,
} from '../../query/explain/report.js';
import { countWords, percentWords, timeWords } from '../../query/explain/words.js';
import type { Cli } from '../command.js';
import { formatBytes, formatCount, formatPercent } from '../format.js';
import { printable } from '../sanitize.js';
import { clipText, padText, printTable, type Precision } from '../table.js';

const WIDTH = 100;
const MOST_CAUSES = 12;
const MOST_FORKS = 8;
const MOST_PROCESSES = 10;
const SPARK = '▁▂▃▄▅▆▇█';
const SPARK_WIDTH = 40;

interface Context {
  /** The recording as the user named it, and the file of --html. */
  readonly path: string;
  readonly html: string | undefined;
}

/** Prints the report for a terminal of 100 columns. */
export function printExplain(cli: Cli, report: ExplainReport, context: Context): void {
  printProof(cli, report);
  cli.print('');
  for (const line of wrap(printable(report.summary.sentence), WIDTH)) {
    cli.print(cli.colors.bold(line));
  }
  const precision: Precision = report.precision === 'exact' ? 'exact' : 'estimated';
  if (report.forks.length > 0) {
    cli.print('');
    printCauses(cli, report, precision);
    cli.print('');
    printForks(cli, report, precision);
    printErosion(cli, report);
    printFanOut(cli, report);
  }
  cli.print('');
  printProcesses(cli, report, precision);
  printAdvice(cli, report);
  printBudgets(cli, report);
  if (context.html === undefined) {
    cli.next(`rmap explain ${printable(context.path)} --html report.html`);
  } else {
    cli.print(`report: ${printable(context.html)}`);
    cli.next(`rmap replay ${printable(context.path)}`);
  }
}

function printProof(cli: Cli, report: ExplainReport): void {
  const { proof, lostEvents } = report;
  if (proof.snapshots.length === 0) {
    cli.print('proof: none, the recording has no snapshot to compare with');
  } else {
    const snapshots = countWords(proof.snapshots.length, 'snapshot');
    const extra = proof.pagesExtra === 0 ? '' : `, ${formatCount(proof.pagesExtra)} too many`;
    const verdict = `${formatCount(proof.pagesAgree)} of ${formatCount(proof.pages)} pages agree`;
    const colored = proof.exact ? cli.colors.green(verdict) : cli.colors.yellow(verdict);
    cli.print(`proof: ${colored} over ${snapshots} of the kernel${extra}`);
  }
  if (report.precision !== 'exact') {
    cli.print(`precision: ${report.precision}`);
    for (const unknown of report.unknowns) {
      for (const line of wrap(printable(unknown), WIDTH - 2)) cli.print(`  ${line}`);
    }
  }
  if (lostEvents !== 0) {
    const count = lostEvents < 0 ? 'some' : formatCount(lostEvents);
    cli.print(
      cli.colors.yellow(
        `${count} events were lost while recording: numbers after a gap are uncertain`,
      ),
    );
  }
  const { fromNs, toNs } = report.window;
  if (fromNs > 0 || toNs < report.durationNs) {
    cli.print(
      `window: ${timeWords(fromNs)} to ${timeWords(toNs)} of ${timeWords(report.durationNs)}`,
    );
  }
}

function printCauses(cli: Cli, report: ExplainReport, precision: Precision): void {
  printTable<CauseReport>(
    cli,
    {
      title: 'What unshared memory',
      precision,
      width: WIDTH,
      limit: MOST_CAUSES,
      empty: 'no write hit a shared page',
      columns: [
        { header: 'bytes', unit: 'bytes', value: (cause) => cause.bytes },
        { header: 'faults', unit: 'count', value: (cause) => cause.faults },
        {
          header: 'writer',
          value: (cause) => writerWords(cause.writer),
          leastWidth: 14,
        },
        {
          header: 'memory',
          value: (cause) => clipText(printable(regionLabel(report, cause)), 20),
          leastWidth: 10,
        },
        { header: 'by', value: (cause) => side(cause) },
        { header: 'dense', value: (cause) => percentWords(cause.density, 1) },
        { header: 'fan-out', value: (cause) => fanOutWords(cause) },
      ],
    },
    report.causes,
  );
}

function regionLabel(report: ExplainReport, cause: CauseReport): string {
  return report.regions[cause.region]?.label ?? 'unknown';
}

function side({ bytes, parentBytes, processes }: CauseReport): string {
  const count = processes.length;
  if (parentBytes === 0) return count === 1 ? '1 child' : `${count} children`;
  if (parentBytes === bytes) return count === 1 ? 'parent' : `${count} parents`;
  return 'both';
}

/** How many processes copied one and the same page, on average; tenths only where they count. */
export function fanOutWords(
  cause: Pick<CauseReport, 'meanFanOut' | 'fanOutOf' | 'parentBytes' | 'bytes'>,
): string {
  const { meanFanOut, fanOutOf, parentBytes, bytes } = cause;
  if (parentBytes === bytes) return '–';
  return `${meanFanOut < 100 ? meanFanOut.toFixed(1) : Math.round(meanFanOut)}/${fanOutOf}`;
}

function printForks(cli: Cli, report: ExplainReport, precision: Precision): void {
  const forks = [...report.forks].sort((a, b) => b.sharedBytes - a.sharedBytes);
  const child = (fork: ForkReport): ProcessReport | undefined => report.processes[fork.child];
  printTable<ForkReport>(
    cli,
    {
      title: 'What each fork shared, who unshared it, and what stayed to the end of a process',
      precision,
      width: WIDTH,
      limit: MOST_FORKS,
      columns: [
        { header: 'at', value: (fork) => timeWords(fork.timeNs) },
        { header: 'child', value: (fork) => child(fork)?.comm ?? '?', leastWidth: 5 },
        { header: 'pid', value: (fork) => String(child(fork)?.pid ?? '?') },
        { header: 'shared', unit: 'bytes', value: (fork) => fork.sharedBytes },
        { header: 'still', unit: 'bytes', value: (fork) => fork.stillSharedBytes },
        { header: 'by child', unit: 'bytes', value: (fork) => fork.ends.childWrote },
        { header: 'by parent', unit: 'bytes', value: (fork) => fork.ends.parentWrote },
        { header: 'dropped', unit: 'bytes', value: (fork) => droppedBytes(fork) },
        { header: 'stayed', unit: 'bytes', value: (fork) => untilEndBytes(fork) },
        { header: 'entries', unit: 'count', value: (fork) => fork.copiedEntries },
      ],
    },
    forks,
  );
}

function droppedBytes({ ends }: ForkReport): number {
  return ends.childDiscarded + ends.parentDiscarded + ends.other;
}

/** Shared up to an exit or exec of one of the two. */
function untilEndBytes({ ends }: ForkReport): number {
  return ends.childExec + ends.childExit + ends.parentExec + ends.parentExit;
}

function printErosion(cli: Cli, report: ExplainReport): void {
  const { timeline } = report;
  const most = [...timeline.forks]
    .filter(({ fork }) => (report.forks[fork]?.sharedBytes ?? 0) > 0)
    .sort(
      (a, b) => (report.forks[b.fork]?.sharedBytes ?? 0) - (report.forks[a.fork]?.sharedBytes ?? 0),
    )
    .slice(0, MOST_FORKS);
  if (most.length === 0) return;
  cli.print('');
  cli.print(cli.colors.bold('Still shared with the parent, from fork to end'));
  for (const { fork, firstIndex, sharedBytes } of most) {
    const own = report.forks[fork];
    if (own === undefined) continue;
    const { sharedBytes: born } = own;
    const process = report.processes[own.child];
    const endNs = process?.endNs ?? -1;
    const points = sharedBytes.filter(
      (_, i) => endNs < 0 || (timeline.timesNs[firstIndex + i] ?? 0) < endNs,
    );
    const last = own.stillSharedBytes + untilEndBytes(own);
    cli.print(
      `  ${padText(printable(`${process?.comm ?? '?'} ${process?.pid ?? ''}`), 22)} ` +
        `${cli.colors.cyan(spark([born, ...points], born).padEnd(SPARK_WIDTH))} ` +
        `${formatPercent(last, born)} of ${formatBytes(born, cli.exactBytes)}`,
    );
  }
}

/** A line of blocks, each the last value of its part of the series. */
function spark(values: readonly number[], full: number): string {
  const width = Math.min(SPARK_WIDTH, values.length);
  let text = '';
  for (let i = 0; i < width; i += 1) {
    const value = values[Math.floor(((i + 1) * values.length) / width) - 1] ?? 0;
    const level = full === 0 ? 0 : Math.round((value / full) * (SPARK.length - 1));
    text += SPARK[Math.min(SPARK.length - 1, Math.max(0, level))];
  }
  return text;
}

function printFanOut(cli: Cli, report: ExplainReport): void {
  for (const { parent, children, pagesByChildren } of report.fanOut.slice(0, 2)) {
    const process = report.processes[parent];
    const total = pagesByChildren.reduce((sum, pages) => sum + pages, 0);
    if (total === 0) continue;
    const parts = [...pagesByChildren.entries()]
      .filter(([, pages]) => pages > 0)
      .map(([count, pages]) => `${formatCount(pages)} by ${count}`);
    const shown = parts.length > 6 ? [...parts.slice(0, 3), '…', ...parts.slice(-2)] : parts;
    cli.print('');
    const text =
      `Fan-out: of the pages of ${process?.comm ?? '?'} ${process?.pid ?? ''}, ` +
      `${formatCount(total)} were copied by some of its ${children.length} children: ` +
      `${shown.join(', ')}.`;
    for (const line of wrap(printable(text), WIDTH)) cli.print(line);
  }
}

function printProcesses(cli: Cli, report: ExplainReport, precision: Precision): void {
  const rows = report.processes
    .filter((process) => process.rssBytes > 0 || process.copiedBytes > 0)
    .sort((a, b) => b.rssBytes - a.rssBytes);
  printTable<ProcessReport>(
    cli,
    {
      title: 'Anonymous memory of each process, at the end or when it ended',
      precision,
      width: WIDTH,
      limit: MOST_PROCESSES,
      columns: [
        { header: 'pid', value: (process) => String(process.pid) },
        { header: 'name', value: (process) => process.comm, leastWidth: 6 },
        { header: 'until', value: (process) => untilWords(process) },
        { header: 'RSS', unit: 'bytes', value: (process) => process.rssBytes },
        { header: 'PSS', unit: 'bytes', value: (process) => process.pssBytes },
        { header: 'USS', unit: 'bytes', value: (process) => process.ussBytes },
        { header: 'most USS', unit: 'bytes', value: (process) => process.mostUssBytes },
        { header: 'copied', unit: 'bytes', value: (process) => process.copiedBytes },
      ],
    },
    rows,
  );
}

function untilWords({ end, endNs }: ProcessReport): string {
  return end === 'running' ? 'end' : `${end} ${timeWords(endNs)}`;
}

function printAdvice(cli: Cli, report: ExplainReport): void {
  if (report.advice.length === 0) return;
  cli.print('');
  cli.print(
    `${cli.colors.bold('What would have kept it')} ${cli.colors.dim('(inferred, each by itself)')}`,
  );
  for (const advice of report.advice) {
    const kept = formatBytes(advice.keptBytes, cli.exactBytes);
    const [title = '', ...more] = wrap(printable(advice.title), WIDTH - 14);
    cli.print(`  ${cli.colors.green(kept.padStart(10))}  ${title}`);
    for (const line of more) cli.print(`${' '.repeat(14)}${line}`);
    const detail = `${advice.detail} Assumes: ${advice.assumption}.`;
    for (const line of wrap(printable(detail), WIDTH - 14)) cli.print(`${' '.repeat(14)}${line}`);
  }
}

function printBudgets(cli: Cli, report: ExplainReport): void {
  if (report.budgets.length > 0) cli.print('');
  for (const budget of report.budgets) {
    const value = budget.expression.startsWith('unshared')
      ? formatBytes(budget.value, cli.exactBytes)
      : `${budget.value.toFixed(2)} %`;
    const verdict = budget.failed ? cli.colors.red('FAILED') : cli.colors.green('ok');
    const note = budget.note === '' ? '' : ` (${budget.note})`;
    const text = `${printable(budget.expression)}: measured ${value}${note}`;
    const [first = '', ...rest] = wrap(text, WIDTH - 'FAILED: '.length);
    cli.print(`${verdict}: ${first}`);
    for (const line of rest) cli.print(`  ${line}`);
  }
}

/** Lines of at most `width` characters; words that are longer than a line are broken. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  const tooLong = new RegExp(`[^ ]{${width}}(?=[^ ])`, 'g');
  for (const word of text.replace(tooLong, '$& ').split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  if (line !== '') lines.push(line);
  return lines;
}
