import { createColors } from 'picocolors';
import { expect, it } from 'vitest';
import { printTable } from './table.js';
import type { Column } from './table.js';

interface Row {
  readonly name: string;
  readonly pages: number;
}

const COLUMNS: readonly Column<Row>[] = [
  { header: 'name', value: (row) => row.name },
  { header: 'pages', value: (row) => row.pages, unit: 'count' },
  { header: 'of', value: (row) => row.name },
];

function printed(rows: readonly Row[], limit = 20, hasColors = false): string[] {
  const lines: string[] = [];
  const cli = {
    colors: createColors(hasColors),
    exactBytes: false,
    print: (line: string) => void lines.push(line),
  };
  printTable(cli, { title: 'rows', precision: 'exact', columns: COLUMNS, limit }, rows);
  return lines;
}

it('aligns text to the left and numbers to the right, without blanks at the end', () => {
  const rows = [
    { name: 'a', pages: 12_000 },
    { name: 'longer', pages: 7 },
  ];
  expect(printed(rows)).toEqual([
    'rows (exact)',
    '  name     pages  of',
    '  a       12,000  a',
    '  longer       7  longer',
  ]);
});

it('says what is empty and how many rows it leaves out', () => {
  expect(printed([])).toEqual(['rows (exact)', '  none']);
  const rows = ['a', 'b', 'c'].map((name) => ({ name, pages: 1 }));
  expect(printed(rows, 1).slice(2)).toEqual(['  a         1  a', '  … and 2 more']);
});

it('cuts texts, the widest first, and then the gaps to keep to a width', () => {
  const row = { long: 'abcdefghijklmnop', other: '日本日本', pages: 1000 };
  const widthOf = (width: number): string[] => {
    const lines: string[] = [];
    const cli = {
      colors: createColors(false),
      exactBytes: false,
      print: (line: string) => void lines.push(line),
    };
    const columns: readonly Column<typeof row>[] = [
      { header: 'l', value: ({ long }) => long, leastWidth: 4 },
      { header: 'pages', value: ({ pages }) => pages, unit: 'count' },
      { header: 'o', value: ({ other }) => other, leastWidth: 6 },
    ];
    printTable(cli, { title: 'rows', precision: 'exact', columns, width }, [row]);
    return lines.slice(1);
  };
  expect(widthOf(35)).toEqual([
    '  l                 pages  o',
    '  abcdefghijklmnop  1,000  日本日本',
  ]);
  expect(widthOf(26)).toEqual(['  l        pages  o', '  abcdef…  1,000  日本日本']);
  expect(widthOf(21)).toEqual(['  l     pages  o', '  abc…  1,000  日本…']);
  expect(widthOf(20)).toEqual(['  l     pages o', '  abcd… 1,000 日本…']);
  // What is not to be cut stays.
  expect(widthOf(5)).toEqual(['  l    pages o', '  abc… 1,000 日本…']);
});

it('counts places of a terminal, not characters', () => {
  // Wide, combining, picture, flag, sign with a selector.
  const names = ['日本', 'e\u0301e\u0301ee', '🙂xy', '🇩🇪xy', '⚠\ufe0fxy', '…–é!'];
  const lines = printed(names.map((name) => ({ name, pages: 1 })));
  expect(lines.slice(2)).toEqual(names.map((name) => `  ${name}      1  ${name}`));
});

it('colours do not move the columns', () => {
  const rows = [{ name: 'ab\u001b[31mc', pages: 1 }];
  // eslint-disable-next-line no-control-regex
  const plain = printed(rows, 20, true).map((line) => line.replace(/\u001b\[\d+m/g, ''));
  expect(plain).toEqual(printed(rows));
  expect(printed(rows)[2]).toBe('  abc       1  abc');
});
