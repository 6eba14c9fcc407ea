import type { PageValue } from '../../kernel/operation.js';

/** Calls for each value of a result's run-length coded list, with its place in it. */
export function forEachValue(
  vals: ReadonlyArray<readonly [PageValue, number]> | undefined,
  call: (value: PageValue, i: number) => void,
): void {
  let at = 0;
  for (const [value, count] of vals ?? []) {
    for (let i = at; i < at + count; i += 1) call(value, i);
    at += count;
  }
}
