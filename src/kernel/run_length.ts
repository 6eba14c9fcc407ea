import type { PageValue } from './operation.js';

/** `[value, count]` of consecutive equal values. */
export function runLengthCode(values: readonly PageValue[]): Array<readonly [PageValue, number]> {
  const runs: Array<[PageValue, number]> = [];
  for (const value of values) {
    const last = runs[runs.length - 1];
    if (last !== undefined && last[0] === value) last[1] += 1;
    else runs.push([value, 1]);
  }
  return runs;
}
