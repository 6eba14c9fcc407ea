import { readFile } from 'node:fs/promises';
import type { CowAnswer } from '../check/cow_matrix/rows.js';
import type { Cli } from './command.js';
import { EXIT_FOUND, EXIT_OK, type ExitCode } from './exit_code.js';

const MATRIX = new URL('../../../data/cow_matrix.tsv', import.meta.url);

/** Runs every row of the copy-on-write matrix and prints a table of tests. */
export async function verifyCowMatrix(cli: Cli): Promise<ExitCode> {
  const { answerCowRow, parseCowMatrix } = await import('../check/cow_matrix/rows.js');
  const rows = parseCowMatrix(await readFile(MATRIX, 'utf8'), 'data/cow_matrix.tsv');
  const progress = await cli.progress('copy-on-write matrix', rows.length);
  const answers: CowAnswer[] = [];
  for (const row of rows) {
    answers.push(answerCowRow(row));
    progress.update(answers.length);
  }
  progress.stop();
  const wrong = answers.filter(({ engine, expected }) => engine !== expected);
  if (cli.json) {
    const summary = { schemaVersion: 1 as const, rows: answers.length, wrong: wrong.length };
    const report = { ...summary, answers };
    cli.printJson(report);
    return wrong.length === 0 ? EXIT_OK : EXIT_FOUND;
  }
  for (const name of new Set(answers.map(({ test }) => test))) {
    const own = answers.filter(({ test }) => test === name);
    const leaks = own.filter(({ engine }) => engine === 'leak');
    const unasked = own.filter(({ linux }) => linux === 'skip').length;
    const notes = [
      leaks.length > 0 ? `leaks: ${leaks.map(({ number }) => number).join(' ')}` : '',
      unasked > 0 ? `${unasked} that Linux skips` : '',
    ].filter((note) => note !== '');
    const bad = own.filter(({ engine, expected }) => engine !== expected).length;
    const verdict = bad === 0 ? 'as expected' : `${bad} WRONG`;
    cli.print(`${String(own.length).padStart(4)}  ${name}: ${verdict}${suffix(notes)}`);
  }
  cli.print(
    `${answers.length - wrong.length} of ${answers.length} rows answer as Linux does (exact)`,
  );
  for (const { number, test, condition, engine } of wrong) {
    cli.print(`row ${number}: ${test} ${condition}: ${engine}`);
  }
  return wrong.length === 0 ? EXIT_OK : EXIT_FOUND;
}

function suffix(notes: readonly string[]): string {
  return notes.length > 0 ? ` (${notes.join('; ')})` : '';
}
