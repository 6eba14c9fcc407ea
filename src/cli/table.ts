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

/** Flags, and signs that a selector turns into pictures: several characters, one picture. */
const PICTURE = /\p{Regional_Indicator}{2}|\p{Emoji}\ufe0f/gu;
/** Combining marks and joiners, which take no place of their own. */
const NO_WIDTH = /[\p{Mn}\p{Me}\p{Cf}]/gu;
/** East Asian wide and full-width forms, and pictures: two places each. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/gu;

/** Places that a text without control characters takes in a terminal. */
function displayWidth(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  const visible = text.replace(PICTURE, '\u3000').replace(NO_WIDTH, '');
  return Array.from(visible).length + (visible.match(WIDE)?.length ?? 0);
}

/** What of the command line a table needs. */
type TableOutput = Pick<Cli, 'print' | 'colors' | 'exactBytes'>;

/** Prints rows as an aligned table with its title and precision. */
export function printTable<Row>(
  cli: TableOutput,
  spec: TableSpec<Row>,
  rows: readonly Row[],
): void {
  const { colors } = cli;
  cli.print(`${colors.bold(spec.title)} ${colors.dim(`(${spec.precision})`)}`);
  if (rows.length === 0) {
    cli.print(`  ${spec.empty ?? 'none'}`);
    return;
  }
  const limit = spec.limit ?? 20;
  const lines = rows
    .slice(0, limit)
    .map((row) => spec.columns.map((column) => formatCell(cli, column, row)));
  const columns = spec.columns.map((column, index) => {
    const cells = [column.header, ...lines.map((line) => line[index] ?? '')];
    return { isNumeric: isNumeric(column), width: Math.max(...cells.map(displayWidth)) };
  });
  const printLine = (cells: readonly string[], paint: (text: string) => string): void => {
    const padded = columns.map(({ isNumeric: isRight, width }, index) => {
      const cell = cells[index] ?? '';
      const padding = ' '.repeat(width - displayWidth(cell));
      return isRight ? `${padding}${paint(cell)}` : `${paint(cell)}${padding}`;
    });
    cli.print(`  ${padded.join('  ').trimEnd()}`);
  };
  printLine(
    spec.columns.map((column) => column.header),
    colors.dim,
  );
  for (const line of lines) printLine(line, (text) => text);
  if (rows.length > limit)
    cli.print(colors.dim(`  … and ${formatCount(rows.length - limit)} more`));
}

function isNumeric<Row>(column: Column<Row>): boolean {
  return column.unit === 'count' || column.unit === 'bytes';
}

function formatCell<Row>(cli: TableOutput, column: Column<Row>, row: Row): string {
  const value = column.value(row);
  if (typeof value === 'string') return printable(value);
  return column.unit === 'bytes' ? formatBytes(value, cli.exactBytes) : formatCount(value);
}
