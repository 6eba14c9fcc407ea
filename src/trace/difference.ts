import type { IdPairs } from './id_pairs.js';

/** Folio flags and kpageflags that depend on who looked at the accessed bits. */
const SOFT_FLAGS: ReadonlySet<string> = new Set(['young', 'idle', 'referenced']);

/** Names of flags without the soft ones, in alphabetical order. */
export function hardFlags(flags: readonly string[] = []): string {
  return flags
    .filter((flag) => !SOFT_FLAGS.has(flag))
    .sort()
    .join(' ');
}

export interface StateComparison {
  /** Number of differences, also of those that are not listed. */
  readonly count: number;
  /** The first differences, at most `mostListed`. */
  readonly differences: readonly StateDifference[];
}

/** One difference between two states, in the kernel's words. */
export interface StateDifference {
  /** Label of the state; empty for results. */
  readonly state: string;
  /** `process 0 VMA 16 page 20`, `folio F3`, `anon_vma A1`, `operation 5`. */
  readonly where: string;
  /** Field of the state format, or its kernel name. */
  readonly field: string;
  readonly expected: string;
  readonly got: string;
}

/** Collects differences. */
export interface Reporter {
  add(where: string, field: string, expected: string, got: string): void;
  /** Reports values that are not equal. */
  equal<T extends string | number | boolean>(
    where: string,
    field: string,
    expected: T,
    got: T,
  ): void;
  /** Reports ids that are not a pair. */
  paired(
    where: string,
    field: string,
    pairs: IdPairs,
    expected: string | null | undefined,
    got: string | null | undefined,
  ): void;
}

/** Counts all differences and keeps the first ones. */
export class DifferenceList implements Reporter {
  state: string;
  readonly #mostListed: number;
  readonly #differences: StateDifference[] = [];
  #count = 0;

  constructor(state: string, mostListed: number) {
    this.state = state;
    this.#mostListed = mostListed;
  }

  add(where: string, field: string, expected: string, got: string): void {
    this.#count += 1;
    if (this.#differences.length < this.#mostListed) {
      this.#differences.push({ state: this.state, where, field, expected, got });
    }
  }

  equal<T extends string | number | boolean>(
    where: string,
    field: string,
    expected: T,
    got: T,
  ): void {
    if (expected !== got) this.add(where, field, String(expected), String(got));
  }

  paired(
    where: string,
    field: string,
    pairs: IdPairs,
    expected: string | null | undefined,
    got: string | null | undefined,
  ): void {
    if (typeof expected !== 'string' || typeof got !== 'string') {
      if (typeof expected !== typeof got && (expected ?? got ?? '') !== '') {
        this.add(where, field, expected ?? 'none', got ?? 'none');
      }
      return;
    }
    if (pairs.match(expected, got)) return;
    // In the numbering of the expected state, so that both columns speak of the same objects.
    this.add(where, field, expected, pairs.expectedOf(got) ?? `another one (${got})`);
  }

  finish(): StateComparison {
    return { count: this.#count, differences: this.#differences };
  }
}

/** A difference as one line. */
export function describeDifference(difference: StateDifference): string {
  const { state, where, field, expected, got } = difference;
  const place = [state === '' ? '' : `state ${state}`, where].filter((part) => part !== '');
  return `${[...place, field].join(', ')}: expected ${expected}, got ${got}`;
}
