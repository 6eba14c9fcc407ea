/**
 * Benchmarks that can be believed: variants run interleaved in one process, every round returns a
 * hash of its result, and work counters say what was done. Times are reported as minimum and
 * median per item. The median is that of the rounds during which nothing else slowed the core down
 * (`gauge.ts`), which short rounds wait for; where there are too few of them, that of the least
 * disturbed. Another program's core is not watched: the least time of both is compared then.
 * Across programs only the ratio means anything.
 */
import { type CoreGauge, QUIET } from './gauge.js';

/** One way of doing the work, prepared for one size. */
export interface Trial {
  /** Makes a fresh state; not timed. Called before every round. */
  prepare?(): void;
  /** Does the work once and returns a hash of the result, so that nothing is optimised away. */
  run(): number | Promise<number>;
  /** Time of the last round by a clock of its own, for work that another process does. */
  elapsedNs?(): number;
  /** What the last round did, such as `nodesVisited`. */
  counters?(): Readonly<Record<string, number>>;
}

export interface Variant {
  readonly name: string;
  /** Makes the trial for a number of items; called once for each size. */
  setup(size: number): Trial;
  /** Largest size that this variant can take; larger ones leave it out. */
  readonly maxSize?: number;
}

export interface Budget {
  /** Most nanoseconds per item of the first variant (median, at the largest size). */
  readonly maxNsPerItem?: number;
  /** How many times faster than each other variant the first one must be. */
  readonly minTimesFaster?: number;
  /** Largest exponent k of time ~ size^k over the sizes; 1 is linear. */
  readonly maxSlope?: number;
}

export interface Benchmark {
  readonly name: string;
  /** What one item is: `insert`, `page`, `event`. */
  readonly item: string;
  /** Numbers of items, ascending. The smoke run takes `smokeSize` only. */
  readonly sizes: readonly number[];
  readonly smokeSize: number;
  /** Ours first; the others are what it is compared with. */
  readonly variants: readonly Variant[];
  /**
   * Time for rounds that do not count, at each size and for each variant: what is measured is what
   * the compiler makes of the code in the end. Half the time of those that count if not given.
   */
  readonly warmUpMs?: number;
  /** Whether all variants must return the same hash. */
  readonly sameResult?: boolean;
  readonly budget?: Budget;
}

export interface Measurement {
  readonly variant: string;
  readonly size: number;
  readonly rounds: number;
  /** Whether its times come from a clock of its own. */
  readonly isOtherProgram: boolean;
  readonly minNsPerItem: number;
  /** Of the quiet rounds, or of the least disturbed. */
  readonly medianNsPerItem: number;
  /** Rounds during which the core was undisturbed. */
  readonly quietRounds: number;
  /** Of the result, in hexadecimal. */
  readonly hash: string;
  readonly counters: Readonly<Record<string, number>>;
}

export interface Report {
  readonly name: string;
  readonly item: string;
  readonly measurements: readonly Measurement[];
  /** Exponent of time over size of the first variant; undefined with fewer than two sizes. */
  readonly slope: number | undefined;
  /** What is wrong: a budget that does not hold, a result that differs. Empty when all is well. */
  readonly problems: readonly string[];
}

export interface RunOptions {
  /** One round at the smoke size, and no budgets: shows that the benchmark still runs. */
  readonly smoke: boolean;
  /** Time for all rounds of one size, in milliseconds; five rounds unless they take longer. */
  readonly timeMs: number;
  /** Nanoseconds that pass; replaced in tests. */
  readonly nowNs?: () => number;
  /** Says when the core is disturbed; without one, nothing is known of that. */
  readonly gauge?: CoreGauge;
}

const MIN_ROUNDS = 5;
const MAX_ROUNDS = 200;
/** Another variant that is slower than the time given stops after this many rounds. */
const MIN_ROUNDS_SLOW = 2;
/** Consecutive rounds make up this many runs, if each gets `MIN_ROUNDS`. */
const MOST_RUNS = 3;
/** As many quiet rounds make a median. */
export const MIN_QUIET_ROUNDS = 5;
/** Longest wait for a quiet core before one round, in milliseconds. */
const MOST_WAIT_MS = 50;
/** Longer rounds are hardly quiet from end to end: they do not wait. */
const MOST_QUIET_ROUND_NS = 10e6;
/** A quick variant may do as many rounds while the slowest does one. */
const MOST_ROUNDS_IN_TURN = 8;

/** Runs one benchmark in all its sizes and judges it. */
export async function runBenchmark(benchmark: Benchmark, options: RunOptions): Promise<Report> {
  const sizes = options.smoke ? [benchmark.smokeSize] : benchmark.sizes;
  const problems: string[] = [];
  const measurements: Measurement[] = [];
  for (const size of sizes) {
    measurements.push(...(await measure(benchmark, size, options, problems)));
  }
  const slope = slopeOf(benchmark, measurements);
  if (!options.smoke) problems.push(...brokenBudgets(benchmark, measurements, slope));
  return { name: benchmark.name, item: benchmark.item, measurements, slope, problems };
}

interface Round {
  readonly elapsedNs: number;
  /** The higher reading of the gauge before and after it; 0 if nobody watched. */
  readonly disturbance: number;
}

interface Lane {
  readonly variant: Variant;
  readonly trial: Trial;
  readonly rounds: Round[];
  /** Time spent on its rounds, whatever clock they have. */
  spentNs: number;
  /** Time of its last round with all that belongs to it. */
  lastNs: number;
  hash: number | undefined;
}

async function measure(
  benchmark: Benchmark,
  size: number,
  options: RunOptions,
  problems: string[],
): Promise<Measurement[]> {
  const nowNs = options.nowNs ?? (() => Number(process.hrtime.bigint()));
  const lanes: Lane[] = benchmark.variants
    .filter((variant) => size <= (variant.maxSize ?? Infinity))
    .map((variant) => ({
      variant,
      trial: variant.setup(size),
      rounds: [],
      spentNs: 0,
      lastNs: 0,
      hash: undefined,
    }));
  let isCounted = false;
  let waitedNs = 0;
  /** Waits for a quiet core, in sum as long as the rounds may take. Returns the disturbance. */
  const waitForQuiet = (gauge: CoreGauge, lane: Lane): number => {
    const isLong = (lane.rounds.at(-1)?.elapsedNs ?? 0) > MOST_QUIET_ROUND_NS;
    const leftMs = options.timeMs - waitedNs / 1e6;
    const startNs = nowNs();
    const disturbance = gauge.waitForQuiet(isLong ? 0 : Math.min(MOST_WAIT_MS, leftMs));
    waitedNs += nowNs() - startNs;
    return disturbance;
  };
  const isSlow = (lane: Lane): boolean => lane !== lanes[0] && lane.spentNs > options.timeMs * 1e6;
  /** Rounds until the compiler has seen enough; one for work that another process does. */
  const warmUp = async (lane: Lane, warmUpMs: number): Promise<void> => {
    const endNs = nowNs() + warmUpMs * 1e6;
    do await runRound(lane);
    while (lane.trial.elapsedNs === undefined && nowNs() < endNs);
    // Another variant whose round takes seconds has warmed up within it.
    if (isSlow(lane)) return;
    lane.rounds.length = 0;
    lane.spentNs = 0;
  };
  const runRound = async (lane: Lane): Promise<void> => {
    const beginNs = nowNs();
    lane.trial.prepare?.();
    const isWatched = isCounted && lane.trial.elapsedNs === undefined;
    const gauge = isWatched ? options.gauge : undefined;
    const before = gauge === undefined ? 0 : waitForQuiet(gauge, lane);
    const startNs = nowNs();
    const result = lane.trial.run();
    const hash = typeof result === 'number' ? result : await result;
    const endNs = nowNs();
    const elapsedNs = lane.trial.elapsedNs?.() ?? endNs - startNs;
    lane.rounds.push({ elapsedNs, disturbance: Math.max(before, gauge?.disturbance() ?? 0) });
    lane.spentNs += endNs - startNs;
    lane.lastNs = endNs - beginNs;
    if (lane.hash !== undefined && lane.hash !== hash) {
      problems.push(`${benchmark.name}: ${lane.variant.name} gave two results for one input`);
    }
    lane.hash = hash;
  };
  if (!options.smoke) {
    for (const lane of lanes) await warmUp(lane, benchmark.warmUpMs ?? options.timeMs / 2);
  }
  isCounted = !options.smoke;
  const endNs = nowNs() + options.timeMs * 1e6;
  const isEnough = (rounds: number): boolean =>
    options.smoke ||
    (rounds >= MIN_ROUNDS && (nowNs() >= endNs + waitedNs || rounds >= MAX_ROUNDS));
  const slowestNs = Math.max(...lanes.map((lane) => lane.lastNs));
  const turns = lanes.map((lane) => {
    const rounds = Math.floor(slowestNs / lane.lastNs);
    return { lane, rounds: options.smoke ? 1 : Math.max(1, Math.min(rounds, MOST_ROUNDS_IN_TURN)) };
  });
  for (let rounds = 1; ; rounds++) {
    // Every second round goes backwards, so that no variant always follows the same one.
    for (const { lane, rounds: inTurn } of rounds % 2 === 0 ? turns.toReversed() : turns) {
      if (lane.rounds.length >= MIN_ROUNDS_SLOW && isSlow(lane)) continue;
      for (let i = 0; i < inTurn; i++) await runRound(lane);
    }
    if (isEnough(rounds)) break;
  }
  if (benchmark.sameResult === true && new Set(lanes.map((lane) => lane.hash)).size > 1) {
    problems.push(`${benchmark.name}: the variants give different results`);
  }
  return lanes.map((lane) => summarise(lane, size));
}

function summarise(lane: Lane, size: number): Measurement {
  const { variant, trial, rounds, hash } = lane;
  const elapsedNs = rounds.map((round) => round.elapsedNs);
  const isWatched = rounds.some(({ disturbance }) => disturbance > 0);
  return {
    variant: variant.name,
    size,
    rounds: rounds.length,
    isOtherProgram: trial.elapsedNs !== undefined,
    minNsPerItem: Math.min(...elapsedNs) / size,
    medianNsPerItem: (isWatched ? quietMedian(rounds) : quietestMedian(elapsedNs)) / size,
    quietRounds: isWatched ? rounds.filter(isQuiet).length : 0,
    hash: ((hash ?? 0) >>> 0).toString(16).padStart(8, '0'),
    counters: trial.counters?.() ?? {},
  };
}

function isQuiet({ disturbance }: Round): boolean {
  return disturbance <= QUIET;
}

/** Of the rounds that nothing disturbed, or of the few that were least disturbed. */
function quietMedian(rounds: readonly Round[]): number {
  const count = Math.max(MIN_QUIET_ROUNDS, rounds.filter(isQuiet).length);
  const quietest = rounds.toSorted((a, b) => a.disturbance - b.disturbance).slice(0, count);
  return medianOf(quietest.map(({ elapsedNs }) => elapsedNs));
}

/** The lower one of the two in the middle: a slow variant has two rounds only. */
function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? NaN;
}

/** The least of the medians of up to three runs of consecutive rounds. */
function quietestMedian(elapsedNs: readonly number[]): number {
  const runs = Math.max(1, Math.min(MOST_RUNS, Math.floor(elapsedNs.length / MIN_ROUNDS)));
  const medians = Array.from({ length: runs }, (_, i) => {
    const from = Math.floor((elapsedNs.length * i) / runs);
    const to = Math.floor((elapsedNs.length * (i + 1)) / runs);
    return medianOf(elapsedNs.slice(from, to));
  });
  return Math.min(...medians);
}

/** Least-squares slope of log time over log size of the first variant. */
function slopeOf(benchmark: Benchmark, measurements: readonly Measurement[]): number | undefined {
  const points = measurements
    .filter((measurement) => measurement.variant === benchmark.variants[0]?.name)
    .map(({ size, minNsPerItem }) => [Math.log(size), Math.log(size * minNsPerItem)] as const);
  if (points.length < 2) return undefined;
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length;
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length;
  const covariance = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  const variance = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
  return covariance / variance;
}

/** How many times the time of `ours` the other one takes: medians, or least times of a program. */
export function timesAsFast(ours: Measurement, other: Measurement): number {
  return other.isOtherProgram
    ? other.minNsPerItem / ours.minNsPerItem
    : other.medianNsPerItem / ours.medianNsPerItem;
}

function brokenBudgets(
  benchmark: Benchmark,
  measurements: readonly Measurement[],
  slope: number | undefined,
): string[] {
  const { budget, name } = benchmark;
  const largest = Math.max(...benchmark.sizes);
  const [ours, ...others] = measurements.filter((measurement) => measurement.size === largest);
  if (budget === undefined || ours === undefined) return [];
  const problems: string[] = [];
  const { maxNsPerItem, minTimesFaster, maxSlope } = budget;
  if (maxNsPerItem !== undefined && ours.medianNsPerItem > maxNsPerItem) {
    problems.push(
      `${name}: ${ours.medianNsPerItem.toFixed(1)} ns per ${benchmark.item}, ` +
        `budget ${maxNsPerItem} ns`,
    );
  }
  if (minTimesFaster !== undefined) {
    for (const other of others) {
      const times = timesAsFast(ours, other);
      if (times < minTimesFaster) {
        problems.push(
          `${name}: ${times.toFixed(1)} times faster than ${other.variant}, ` +
            `budget ${minTimesFaster}`,
        );
      }
    }
  }
  if (maxSlope !== undefined && slope !== undefined && slope > maxSlope) {
    problems.push(`${name}: time grows as size^${slope.toFixed(2)}, budget ${maxSlope}`);
  }
  return problems;
}

/** Adds one 32-bit word to a running hash (a multiply and a rotate). */
export function mix(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x9e3779b1);
  return (mixed << 13) | (mixed >>> 19);
}
