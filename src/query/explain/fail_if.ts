import { RmapError } from '../../base/errors.js';
import { FATE, type ForkLedger } from './fork_ledger.js';
import type { Budget, Summary } from './report.js';

type Comparison = '<' | '>' | '<=' | '>=';

/** A parsed `--fail-if`. */
export interface FailIf {
  readonly text: string;
  readonly metric: 'shared_after' | 'unshared_bytes';
  /** Only for `shared_after`. */
  readonly afterNs: number;
  readonly comparison: Comparison;
  /** Percent, or bytes. */
  readonly limit: number;
}

const SYNTAX =
  /^\s*(?:(shared_after)\(\s*([^)]*?)\s*\)|(unshared_bytes))\s*(<=|>=|<|>)\s*(\d+(?:\.\d+)?)\s*(%|[KMGT]i?B?|B)?\s*$/i;
const TIME = /^(\d+(?:\.\d+)?)(ms|s|min|h)$/;
const TIME_NS: Readonly<Record<string, number>> = { ms: 1e6, s: 1e9, min: 60e9, h: 3600e9 };
const SIZE: Readonly<Record<string, number>> = {
  B: 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

/** Parses `shared_after(60s) < 70%` or `unshared_bytes > 100MiB`; `RmapError` for anything else. */
export function parseFailIf(text: string): FailIf {
  const [match, after, duration, , comparison, digits, unit] = SYNTAX.exec(text) ?? [];
  if (match === undefined) {
    throw new RmapError(
      'usage',
      `--fail-if ${JSON.stringify(text)}: expected 'shared_after(DURATION) < PERCENT%' or ` +
        `'unshared_bytes > SIZE', with <, >, <= or >=`,
    );
  }
  const metric = after === undefined ? 'unshared_bytes' : 'shared_after';
  const value = Number(digits);
  if (metric === 'shared_after') {
    const [, amount, timeUnit] = TIME.exec(duration ?? '') ?? [];
    if (amount === undefined || timeUnit === undefined) {
      throw new RmapError(
        'usage',
        `--fail-if ${JSON.stringify(text)}: shared_after takes a time such as 500ms, 60s or 5min`,
      );
    }
    if (unit !== '%') {
      throw new RmapError('usage', `--fail-if ${JSON.stringify(text)}: expected a percentage`);
    }
    const afterNs = Number(amount) * (TIME_NS[timeUnit] ?? 0);
    return { text, metric, afterNs, comparison: comparison as Comparison, limit: value };
  }
  if (unit === '%') {
    throw new RmapError(
      'usage',
      `--fail-if ${JSON.stringify(text)}: expected a size, such as 64MiB`,
    );
  }
  const factor = SIZE[(unit ?? 'B').slice(0, 1).toUpperCase()] ?? 1;
  return { text, metric, afterNs: 0, comparison: comparison as Comparison, limit: value * factor };
}

/**
 * Evaluates a budget. `shared_after(D)`: of all pages shared at forks, the part that no write had
 * unshared within D of its fork; exec, exit and discards are no loss.
 */
export function evaluate(
  failIf: FailIf,
  forks: readonly ForkLedger[],
  summary: Summary,
  toNs: number,
): Budget {
  const { metric, text } = failIf;
  let value = summary.unsharedBytes;
  let note = '';
  if (metric === 'shared_after') {
    value = sharedAfterPercent(forks, failIf.afterNs);
    if (forks.length === 0) note = 'nothing forked';
    else if (forks.every((fork) => toNs - fork.timeNs < failIf.afterNs)) {
      note = 'the recording ends earlier: measured at its end';
    }
  }
  return { expression: text.trim(), value, failed: holds(value, failIf), note };
}

/** Percent of what was shared at forks that writes left alone for so long. */
export function sharedAfterPercent(forks: readonly ForkLedger[], afterNs: number): number {
  let born = 0;
  let lost = 0;
  for (const fork of forks) {
    born += fork.born;
    fork.forEachPage((_vpn, fate, endNs) => {
      const isWrite = fate === FATE.childWrote || fate === FATE.parentWrote;
      if (isWrite && endNs - fork.timeNs <= afterNs) lost += 1;
    });
  }
  return born === 0 ? 100 : (100 * (born - lost)) / born;
}

function holds(value: number, { comparison, limit }: FailIf): boolean {
  switch (comparison) {
    case '<':
      return value < limit;
    case '>':
      return value > limit;
    case '<=':
      return value <= limit;
    default:
      return value >= limit;
  }
}
