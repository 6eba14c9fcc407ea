import type { LiveReport } from '../query/live.js';
import { printAnonVmas } from './anon_vma_text.js';
import type { Cli } from './command.js';
import { counted } from './counted.js';
import { formatBytes, formatCount, formatRate } from './format.js';
import { printable } from './sanitize.js';
import { printTable } from './table.js';
import type { Column } from './table.js';

type LiveProcess = LiveReport['processes'][number];

/** Processes of the matrix on a terminal: more columns do not fit. */
const MATRIX_COLUMNS = 8;

/** The sentence that says it all; for the terminal and the page. */
export function headline(report: LiveReport, exact: boolean): string {
  const { total } = report;
  const bytes = (value: number): string => formatBytes(value, exact);
  if (total.processCount === 1) {
    return `one process maps ${bytes(total.distinctBytes)}, ${bytes(total.ussBytes)} of it alone`;
  }
  const processes = counted(total.processCount, 'process');
  if (total.overstatement < 1.005) {
    return `${processes} map ${bytes(total.distinctBytes)} and share nothing among themselves`;
  }
  return (
    `${processes} use ${bytes(total.distinctBytes)}: adding up RSS ` +
    `(${bytes(total.rssBytes)}) overstates ${total.overstatement.toFixed(1)} times`
  );
}

/** What one more worker costs, or `undefined` if there are no workers. */
export function nextWorkerLine(report: LiveReport, exact: boolean): string | undefined {
  const worker = report.nextWorker;
  if (worker === undefined) return undefined;
  const bytes = (value: number): string => formatBytes(value, exact);
  return (
    `one more ${printable(worker.comm)} costs ${bytes(worker.bytes)} once it is like its ` +
    `${worker.siblingPids.length} siblings (${bytes(worker.leastBytes)} to ` +
    `${bytes(worker.mostBytes)}; inferred)`
  );
}

/** How the picture was taken and how far it can be off. */
export function methodLine({ method }: LiveReport): string {
  const rate = (method.entriesRead * 1000) / Math.max(1, method.cpuMs);
  const speed = `${formatCount(method.entriesRead)} entries at ${formatRate(rate)} of CPU`;
  const parts = [speed];
  if (method.consistency === 'frozen') parts.push('all held meanwhile');
  else if (method.movedPages === 0 && method.kernelMovedPages === 0) {
    parts.push('nothing moved meanwhile');
  } else if (method.kernelMovedPages > 0) {
    parts.push(`the kernel moved up to ${counted(method.kernelMovedPages, 'page')} meanwhile`);
  }
  if (method.movedPages > 0) {
    parts.push(
      `${counted(method.movedPages, 'page')} of ${counted(method.movedPids.length, 'process')} ` +
        'moved between two readings; the second counts',
    );
  }
  const { vanishedPids, deniedPids, skippedPages } = method;
  if (vanishedPids.length > 0)
    parts.push(`${counted(vanishedPids.length, 'process')} ended meanwhile`);
  if (deniedPids.length > 0) parts.push(`no right to read ${deniedPids.join(' ')}`);
  if (skippedPages > 0) parts.push(`${counted(skippedPages, 'page')} of devices left out`);
  return parts.join('; ');
}

/** Columns of the processes. The kernel's PSS is left out if nobody asked for it. */
export function processColumns(report: LiveReport): Column<LiveProcess>[] {
  const columns: Column<LiveProcess>[] = [
    { header: 'PID', value: (row) => String(row.pid) },
    { header: 'name', value: (row) => row.comm },
    { header: 'RSS', value: (row) => row.rssBytes, unit: 'bytes' },
  ];
  if (report.total.kernelPssBytes !== undefined) {
    columns.push({
      header: 'PSS (kernel)',
      value: (row) => row.kernel?.pssBytes ?? 0,
      unit: 'bytes',
    });
  }
  if (report.precision !== 'inferred') {
    columns.push({ header: 'PSS', value: (row) => row.pssBytes, unit: 'bytes' });
  }
  columns.push({ header: 'USS', value: (row) => row.ussBytes, unit: 'bytes' });
  if (report.precision !== 'inferred') {
    columns.push(
      { header: 'shared inside', value: (row) => row.sharedInsideBytes, unit: 'bytes' },
      { header: 'outside', value: (row) => row.sharedOutsideBytes, unit: 'bytes' },
    );
  }
  columns.push({
    header: 'freed if killed',
    value: (row) => row.freedIfKilledBytes,
    unit: 'bytes',
  });
  if (report.total.swapBytes > 0) {
    columns.push({ header: 'swap', value: (row) => row.swapBytes, unit: 'bytes' });
  }
  return columns;
}

function printMatrix(cli: Cli, report: LiveReport): void {
  const { pids, bytes, omittedCount } = report.matrix;
  const shown = pids.slice(0, MATRIX_COLUMNS);
  if (shown.length < 2) return;
  const rows = shown.map((pid, index) => ({ pid, cells: bytes[index] ?? [] }));
  cli.print('');
  const omitted = omittedCount + pids.length - shown.length;
  printTable(
    cli,
    {
      title: `shared by two${omitted > 0 ? `, the ${shown.length} largest` : ''}; diagonal: by nobody`,
      precision: report.precision,
      columns: [
        { header: 'PID', value: (row) => String(row.pid) },
        ...shown.map((pid, index) => ({
          header: String(pid),
          value: (row: (typeof rows)[number]) => row.cells[index] ?? 0,
          unit: 'bytes' as const,
        })),
      ],
    },
    rows,
  );
}

/** Prints a report as text. */
export function printLive(cli: Cli, report: LiveReport): void {
  const { total } = report;
  const bytes = (value: number): string => formatBytes(value, cli.exactBytes);
  cli.print(headline(report, cli.exactBytes));
  if (report.precision !== 'inferred') {
    cli.print(
      `shared inside ${bytes(total.sharedInsideBytes)}, with others ` +
        `${bytes(total.sharedOutsideBytes)}; killing all frees ${bytes(total.freedIfKilledBytes)}`,
    );
  }
  const worker = nextWorkerLine(report, cli.exactBytes);
  if (worker !== undefined) cli.print(worker);
  cli.print('');
  printTable(
    cli,
    {
      title: 'processes by PSS',
      precision: report.precision,
      columns: processColumns(report),
    },
    report.processes,
  );
  if (report.precision !== 'inferred') {
    printMatrix(cli, report);
  } else {
    cli.note('frames are hidden from this user: sharing by whom needs CAP_SYS_ADMIN (rmap doctor)');
  }
  printAnonVmas(cli, report);
  cli.print('');
  cli.print(cli.colors.dim(methodLine(report)));
}
