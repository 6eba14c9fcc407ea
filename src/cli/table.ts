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
  /** Texts may be cut to this many places, or more, where the table would be too wide. */
  readonly leastWidth?: number;
}

export interface TableSpec<Row> {
  /** What the rows are; printed above them together with the precision. */
  readonly title: string;
  readonly precision: Precision;
  readonly columns: readonly Column<Row>[];
  /** Rows to print; the number of the rest is said below. Default 20. */
  readonly limit?: number;
  /** Places of a line to keep to, as far as columns may be cut. Default: as wide as it is. */
  readonly width?: number;
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

/** What a reader takes for one character; the same rules everywhere. */
const GRAPHEMES = new Intl.Segmenter('en');

/** Places that a text without control characters takes in a terminal. */
function displayWidth(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  const visible = text.replace(PICTURE, '\u3000').replace(NO_WIDTH, '');
  return Array.from(visible).length + (visible.match(WIDE)?.length ?? 0);
}

/** Cuts a text without control characters to places of a terminal; what is cut ends in `…`. */
export function clipText(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let clipped = '';
  let used = 0;
  for (const { segment } of GRAPHEMES.segment(text)) {
    used += displayWidth(segment);
    if (used > width - 1) break;
    clipped += segment;
  }
  return `${clipped}…`;
}

/** Cuts or fills a text to places of a terminal. */
export function padText(text: string, width: number): string {
  const clipped = clipText(text, width);
  return clipped + ' '.repeat(width - displayWidth(clipped));
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
  const natural = spec.columns.map((column, index) => {
    const cells = [column.header, ...lines.map((line) => line[index] ?? '')];
    return Math.max(...cells.map(displayWidth));
  });
  const { widths, gap } = fit(spec, natural);
  const printLine = (cells: readonly string[], paint: (text: string) => string): void => {
    const padded = spec.columns.map((column, index) => {
      const width = widths[index] ?? 0;
      const cell = clipText(cells[index] ?? '', width);
      const padding = ' '.repeat(width - displayWidth(cell));
      return isNumeric(column) ? `${padding}${paint(cell)}` : `${paint(cell)}${padding}`;
    });
    cli.print(`${INDENT}${padded.join(gap).trimEnd()}`);
  };
  printLine(
    spec.columns.map((column) => column.header),
    colors.dim,
  );
  for (const line of lines) printLine(line, (text) => text);
  if (rows.length > limit)
    cli.print(colors.dim(`  … and ${formatCount(rows.length - limit)} more`));
}

const INDENT = '  ';

interface Fitted {
  readonly widths: readonly number[];
  readonly gap: string;
}

/** Narrows columns, the widest first, and the gap if that is not enough, until a line fits. */
function fit<Row>({ columns, width }: TableSpec<Row>, natural: readonly number[]): Fitted {
  const least = natural.map((own, index) => Math.min(own, columns[index]?.leastWidth ?? own));
  const lineWidth = (widths: readonly number[], gap: string): number =>
    widths.reduce((sum, own) => sum + gap.length + own, INDENT.length - gap.length);
  if (width === undefined || lineWidth(natural, '  ') <= width) {
    return { widths: natural, gap: '  ' };
  }
  const gap = lineWidth(least, '  ') <= width ? '  ' : ' ';
  const widths = [...natural];
  for (let excess = lineWidth(widths, gap) - width; excess > 0; excess -= 1) {
    const loose = widths.filter((own, index) => own > (least[index] ?? 0));
    if (loose.length === 0) break;
    const widest = Math.max(...loose);
    const index = widths.findIndex((own, i) => own === widest && own > (least[i] ?? 0));
    widths[index] = widest - 1;
  }
  return { widths, gap };
}

function isNumeric<Row>(column: Column<Row>): boolean {
  return column.unit === 'count' || column.unit === 'bytes';
}

function formatCell<Row>(cli: TableOutput, column: Column<Row>, row: Row): string {
  const value = column.value(row);
  if (typeof value === 'string') return printable(value);
  return column.unit === 'bytes' ? formatBytes(value, cli.exactBytes) : formatCount(value);
}
