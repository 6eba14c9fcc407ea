/**
 * Tells whether something else slows this core down. Another program on its second thread takes up
 * to half of its throughput, in bursts that no clock shows and no round of a benchmark can be blamed
 * for.
 */

/** What a benchmark asks of it; replaced in tests. */
export interface CoreGauge {
  /** How many times as slow the core is now as an undisturbed one. */
  disturbance(): number;
  /** Waits until the core is undisturbed, so many milliseconds at most. Returns the disturbance. */
  waitForQuiet(mostMs: number): number;
}

/** Hands the least reading from one process to those that it starts. */
const LEAST_VARIABLE = 'RMAP_BENCH_GAUGE_NS';
/** An undisturbed core is at most this much slower than at best; a shared one reads 1.4 to 2. */
export const QUIET = 1.15;
/** Quiet readings in a row that make up a quiet core. */
const QUIET_READINGS = 3;
const PASSES = 16;

/** The time of a fixed loop that keeps the whole core busy, compared with the least ever seen. */
export class ThroughputGauge implements CoreGauge {
  private readonly readNs: () => number;
  /** Of all readings, also those of the process that started this one. */
  private leastNs = Number(process.env[LEAST_VARIABLE] ?? Infinity);

  /** Readings come from the loop; tests give their own. */
  constructor(readNs: () => number = throughputNs) {
    this.readNs = readNs;
  }

  /** Takes so many milliseconds to see what a quiet core reads, and tells processes to come. */
  learn(lengthMs: number): void {
    // The first readings are those of code that is not compiled yet: too high, so no harm.
    const endMs = performance.now() + lengthMs;
    do this.disturbance();
    while (performance.now() < endMs);
    process.env[LEAST_VARIABLE] = String(this.leastNs);
  }

  disturbance(): number {
    const elapsedNs = this.readNs();
    this.leastNs = Math.min(this.leastNs, elapsedNs);
    return elapsedNs / this.leastNs;
  }

  waitForQuiet(mostMs: number): number {
    const endMs = performance.now() + mostMs;
    let readings = 0;
    for (;;) {
      const disturbance = this.disturbance();
      readings = disturbance <= QUIET ? readings + 1 : 0;
      if (readings === QUIET_READINGS || performance.now() >= endMs) return disturbance;
    }
  }
}

const words = new Int32Array(1024).map((_, i) => i * 7);
/** Keeps the sums from being optimised away. */
let sink = 0;

/** About 10 µs: independent sums, so that it is the core's width that counts. */
function throughputNs(): number {
  const start = process.hrtime.bigint();
  let a = 0;
  let b = 1;
  let c = 2;
  let d = 3;
  for (let pass = 0; pass < PASSES; pass++) {
    for (let i = 0; i < words.length; i += 4) {
      a = (a + (words[i] ?? 0)) | 0;
      b ^= words[i + 1] ?? 0;
      c = (c + (words[i + 2] ?? 0)) | 0;
      d ^= words[i + 3] ?? 0;
    }
  }
  sink ^= a ^ b ^ c ^ d;
  return Number(process.hrtime.bigint() - start);
}
