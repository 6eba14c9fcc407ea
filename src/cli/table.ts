import Table from 'cli-table3';
import type { Cli } from './command.js';
import { formatBytes, formatCount } from './format.js';
import { printable } from './sanitize.js';

/**
 * How a figure came about. `exact`: read from the replayed state, which agreed with the recording;
 * `estimated`: scaled from a sample or bounded; `inferred`: follows from a rule, was not observed.
 */
export type Precision = 'exact' | 'estimated' | 'inferred';

/** One column: numbers are right-aligned; `bytes` obeys `--bytes`. */
export interface Column<Row> {
  readonly header: string;
  readonly value: (row: Row) => string | number;
  readonly unit?: 'text' | 'count' | 'bytes';
}

export interface TableSpec<Row> {
  /** What the rows are; printed above them together with the precision. */
  readonly title: string;
  readonly precision: Precision;
  readonly columns: readonly Column<Row>[];
  /** Rows to print; the number of the rest is said below. Default 20. */
  readonly limit?: number;
  /** Printed instead of rows when there are none. */
  readonly empty?: string;
}

const NO_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/** Prints rows as an aligned table with its title and precision. */
export function printTable<Row>(cli: Cli, spec: TableSpec<Row>, rows: readonly Row[]): void {
  const { colors } = cli;
  cli.print(`${colors.bold(spec.title)} ${colors.dim(`(${spec.precision})`)}`);
  if (rows.length === 0) {
    cli.print(`  ${spec.empty ?? 'none'}`);
    return;
  }
  const limit = spec.limit ?? 20;
  const table = new Table({
    chars: NO_BORDERS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: spec.columns.map((column) => (isNumeric(column) ? 'right' : 'left')),
    head: spec.columns.map((column) => colors.dim(column.header)),
  });
  for (const row of rows.slice(0, limit)) {
    table.push(spec.columns.map((column) => formatCell(cli, column, row)));
  }
  for (const line of table.toString().split('\n')) cli.print(`  ${line.trimEnd()}`);
  if (rows.length > limit)
    cli.print(colors.dim(`  … and ${formatCount(rows.length - limit)} more`));
}

function isNumeric<Row>(column: Column<Row>): boolean {
  return column.unit === 'count' || column.unit === 'bytes';
}

function formatCell<Row>(cli: Cli, column: Column<Row>, row: Row): string {
  const value = column.value(row);
  if (typeof value === 'string') return printable(value);
  return column.unit === 'bytes' ? formatBytes(value, cli.exactBytes) : formatCount(value);
}
