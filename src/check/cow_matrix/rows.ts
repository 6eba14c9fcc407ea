import { RmapError } from '../../base/errors.js';
import { runCowTest } from './tests.js';

/** One row of the matrix, with what Linux 6.18 answered. */
export interface CowRow {
  readonly number: number;
  readonly test: string;
  readonly condition: string;
  /** `xfail`: a leak that Linux knows; `skip`: Linux wants a debug module for it. */
  readonly linux: 'pass' | 'skip' | 'xfail';
}

/** A row with the engine's answer. */
export interface CowAnswer extends CowRow {
  /** The claim holds, or memory leaks. */
  readonly engine: 'pass' | 'leak';
  /** What is expected: a leak where hugetlb reuses a page that a pipe holds. */
  readonly expected: 'pass' | 'leak';
}

/** Parses the tab-separated table; `name` is the file for messages. */
export function parseCowMatrix(text: string, name: string): CowRow[] {
  const lines = text.trimEnd().split('\n');
  return lines.slice(1).map((line, i) => {
    const [number, test, condition, linux] = line.split('\t');
    if (linux !== 'pass' && linux !== 'skip' && linux !== 'xfail') {
      throw new RmapError('input', `${name}:${i + 2}: the verdict is pass, skip or xfail`);
    }
    return { number: Number(number), test: test ?? '', condition: condition ?? '', linux };
  });
}

/**
 * A leak is expected of every vmsplice test on hugetlb memory: the last mapper writes into the page
 * that the pipe holds, since hugetlb ignores references. Linux lists the 1 GiB rows among them that
 * it did not run with a free page as passing; run directly they leak as well.
 */
function expectsLeak({ test, condition }: CowRow): boolean {
  return test.startsWith('vmsplice()') && condition.startsWith('with hugetlb');
}

/** Runs one row. */
export function answerCowRow(row: CowRow): CowAnswer {
  const holds = runCowTest(row.test, row.condition);
  return {
    ...row,
    engine: holds ? 'pass' : 'leak',
    expected: expectsLeak(row) ? 'leak' : 'pass',
  };
}
