/** One-to-one pairing of the ids of two states, built in the order in which they are seen. */
export class IdPairs {
  /** Pairs in the order in which they were made: expected id, actual id. */
  readonly pairs: Array<readonly [string, string]> = [];
  readonly #forward = new Map<string, string>();
  readonly #backward = new Map<string, string>();

  /** True if the two ids are a pair, now or since before. */
  match(expected: string, actual: string): boolean {
    const known = this.#forward.get(expected);
    if (known !== undefined) return known === actual;
    if (this.#backward.has(actual)) return false;
    this.#forward.set(expected, actual);
    this.#backward.set(actual, expected);
    this.pairs.push([expected, actual]);
    return true;
  }

  /** The expected id that an actual id is paired with, for messages. */
  expectedOf(actual: string): string | undefined {
    return this.#backward.get(actual);
  }
}
