import type { AnonVmaProcess, AnonVmaView } from '../query/anon_vma_view.js';
import type { LiveReport } from '../query/live.js';
import type { Cli } from './command.js';
import { counted } from './counted.js';
import { formatBytes } from './format.js';
import { printTable } from './table.js';
import type { Column } from './table.js';

/** The sentences below the table; for the terminal and the page. */
export function anonVmaLines({ total, kernelBytes }: AnonVmaView, exact: boolean): string[] {
  const dead =
    total.deadAncestorCount === 0
      ? 'none outlives its VMAs'
      : `${counted(total.deadAncestorCount, 'dead ancestor')} kept alive by descendants alone`;
  return [
    `${counted(total.anonVmaCount, 'anon_vma')} and ${counted(total.avcCount, 'link')} ` +
      `for ${counted(total.vmaCount, 'VMA')}, ${formatBytes(kernelBytes, exact)} of kernel memory`,
    `${dead}; the mappings of a page are found among up to ${counted(total.widestWalk, 'VMA')}`,
  ];
}

/** Columns of the processes; names come from the report, cleaned by whoever prints. */
export function anonVmaColumns(report: LiveReport): Column<AnonVmaProcess>[] {
  const names = new Map(report.processes.map(({ pid, comm }) => [pid, comm]));
  return [
    { header: 'PID', value: (row) => String(row.pid) },
    { header: 'name', value: (row) => names.get(row.pid) ?? '' },
    { header: 'VMAs', value: (row) => row.vmaCount, unit: 'count' },
    { header: 'anon_vmas', value: (row) => row.anonVmaCount, unit: 'count' },
    { header: 'links (AVCs)', value: (row) => row.avcCount, unit: 'count' },
    { header: 'longest chain', value: (row) => row.longestChain, unit: 'count' },
    { header: 'dead ancestors', value: (row) => row.deadAncestorCount, unit: 'count' },
    { header: 'widest walk', value: (row) => row.widestWalk, unit: 'count' },
  ];
}

/** Prints the view as text, if there is one. */
export function printAnonVmas(cli: Cli, report: LiveReport): void {
  const view = report.anonVmas;
  if (view === undefined) return;
  cli.print('');
  printTable(
    cli,
    { title: 'anon_vmas by PSS', precision: 'exact', columns: anonVmaColumns(report) },
    view.processes,
  );
  for (const line of anonVmaLines(view, cli.exactBytes)) cli.print(`  ${line}`);
}
