const GOLDEN = 0x9e3779b9;

/**
 * A seeded generator of pseudo-random numbers (sfc32): the same seed gives the same numbers on
 * every platform. Not for secrets.
 */
export class Rng {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  /** @param seed Any safe non-negative whole number. */
  constructor(seed: number) {
    this.a = seed >>> 0;
    this.b = Math.floor(seed / 4294967296) >>> 0;
    this.c = GOLDEN;
    // Small seeds differ in few bits: mix before the first number is used.
    for (let i = 0; i < 12; i += 1) this.next32();
  }

  /** A whole number from 0 to 2^32 - 1. */
  next32(): number {
    const sum = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  /** A whole number from 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor((this.next32() / 4294967296) * count);
  }

  /** A whole number from `least` to `most`. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.next32() < probability * 4294967296;
  }

  /** One of the items, of which there is at least one. */
  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }

  /** One of the items, by their weights. */
  weighted<T>(items: ReadonlyArray<readonly [weight: number, item: T]>): T {
    let total = 0;
    for (const [weight] of items) total += weight;
    let rest = (this.next32() / 4294967296) * total;
    for (const [weight, item] of items) {
      rest -= weight;
      if (rest < 0) return item;
    }
    throw new RangeError('nothing to pick from');
  }
}
