/**
 * Goal: all 778 checks of the kernel's copy-on-write selftest, run as real operations, answer as
 * Linux does; those that Linux skipped for want of a module are answered too.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { answerCowRow, parseCowMatrix } from './rows.js';

const path = new URL('../../../data/cow_matrix.tsv', import.meta.url);
const rows = parseCowMatrix(readFileSync(path, 'utf8'), 'cow_matrix.tsv');

describe('copy-on-write matrix', () => {
  test('has every row', () => {
    expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 778 }, (_, i) => i + 1));
  });

  const names = [...new Set(rows.map((row) => row.test))];
  test.each(names)('%s', { timeout: 120_000 }, (name) => {
    const answers = rows.filter((row) => row.test === name).map(answerCowRow);
    expect(answers.filter(({ engine, expected }) => engine !== expected)).toEqual([]);
  });

  test('the five leaks that Linux knows leak here', { timeout: 60_000 }, () => {
    const known = rows.filter(({ linux }) => linux === 'xfail');
    expect(known.map(({ number }) => number)).toEqual([161, 215, 269, 323, 324]);
    for (const row of known) expect(answerCowRow(row).engine).toBe('leak');
  });
});
