/**
 * Runs the benchmarks and judges them by their budgets. Each runs in a process of its own: what
 * the compiler learned from the one before would slow down the next.
 *
 *   node dist/bench/main.js [--smoke] [--json] [--time <ms for each>] [filter…]
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { coldStartBenchmarks } from './cold_start.bench.js';
import { ThroughputGauge } from './gauge.js';
import { engineBenchmarks } from './engine.bench.js';
import {
  type Benchmark,
  MIN_QUIET_ROUNDS,
  type Report,
  type RunOptions,
  runBenchmark,
  timesAsFast,
} from './harness.js';
import { intervalTreeBenchmarks } from './interval_tree.bench.js';
import { formatMemory, measureMemory } from './memory.bench.js';
import { pageMapBenchmarks } from './page_map.bench.js';
import { kernelReason, removeProgram } from './kernel_variant.js';
import { recordingDecodeBenchmarks } from './recording_decode.bench.js';
import { replayBenchmarks } from './replay.bench.js';
import { whoBenchmarks, whoReason } from './who.bench.js';

/** Every benchmark, in the order of the report. */
const benchmarks: readonly Benchmark[] = [
  ...coldStartBenchmarks,
  ...intervalTreeBenchmarks,
  ...engineBenchmarks,
  ...recordingDecodeBenchmarks,
  ...replayBenchmarks,
  ...pageMapBenchmarks,
  ...whoBenchmarks,
];

function formatReport(report: Report): string {
  const { item, measurements, name, problems, slope } = report;
  const [ours] = measurements;
  const lines = [name];
  for (const measurement of measurements) {
    const { counters, hash, medianNsPerItem, minNsPerItem, size, variant } = measurement;
    const { quietRounds, rounds } = measurement;
    const base = measurements.find(
      (other) => other.size === size && other.variant === ours?.variant,
    );
    const times = base === undefined ? NaN : timesAsFast(base, measurement);
    const work = Object.entries(counters).map(([key, value]) => `  ${key} ${value}`);
    lines.push(
      `  ${variant.padEnd(28)} ${String(size).padStart(9)} × ${item.padEnd(8)}` +
        ` min ${formatNs(minNsPerItem)} median ${formatNs(medianNsPerItem)}` +
        ` ${`${times.toFixed(2)} ×`.padStart(9)}  ${rounds} rounds, ${quietRounds} quiet  #${hash}${work.join('')}`,
    );
  }
  if (slope !== undefined) lines.push(`  grows as size^${slope.toFixed(2)}`);
  const doubt = isDisturbed(report) ? ', but the core was disturbed' : '';
  for (const problem of problems) lines.push(`  FAILED ${problem}${doubt}`);
  return lines.join('\n');
}

function formatNs(value: number): string {
  if (value < 1e4) return `${value.toFixed(1)} ns`.padStart(10);
  return (
    value < 1e6 ? `${(value / 1e3).toFixed(1)} µs` : `${(value / 1e6).toFixed(1)} ms`
  ).padStart(10);
}

/** Milliseconds to learn what an undisturbed core does, once and in each benchmark's process. */
const GAUGE_MS = 1500;
const GAUGE_CHILD_MS = 60;
/** Most times and most time for measuring disturbed benchmarks again. */
const MOST_REPEATS = 3;
const MOST_REPEAT_MS = 8_000;
/** Time for the rounds of one size unless `--time` says another, in milliseconds. */
const DEFAULT_MS = 250;

const MAIN = fileURLToPath(import.meta.url);

/** Runs one benchmark; a smoke run stays in this process. */
async function measured(benchmark: Benchmark, options: RunOptions): Promise<Report> {
  if (options.smoke) return await runBenchmark(benchmark, options);
  const args = ['--expose-gc', MAIN, '--time', String(options.timeMs), '--only', benchmark.name];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${benchmark.name}: ${stderr}`);
  return JSON.parse(stdout) as Report;
}

/** The child's part: one benchmark, and its report as JSON. */
async function measureOnly(name: string, timeMs: number): Promise<number> {
  const benchmark = benchmarks.find((candidate) => candidate.name === name);
  if (benchmark === undefined) throw new Error(`there is no benchmark "${name}"`);
  const gauge = new ThroughputGauge();
  gauge.learn(GAUGE_CHILD_MS);
  const options = { smoke: false, timeMs, gauge };
  process.stdout.write(JSON.stringify(await runBenchmark(benchmark, options)));
  return 0;
}

/** Rounds of our variant at the largest size that nothing disturbed. */
function quietRoundsOf({ measurements }: Report): number {
  const ours = measurements.filter(({ variant }) => variant === measurements[0]?.variant);
  return ours.at(-1)?.quietRounds ?? 0;
}

/** Whether too few rounds were quiet for their median to be that of the code alone. */
function isDisturbed(report: Report): boolean {
  return quietRoundsOf(report) < MIN_QUIET_ROUNDS;
}

/**
 * Measures again what breaks a budget and hardly had a quiet round: another program may keep a core
 * busy for seconds. Of two reports the one with more quiet rounds stays, whatever it says.
 */
async function repeatDisturbed(
  chosen: readonly Benchmark[],
  reports: Report[],
  options: RunOptions,
  json: boolean,
): Promise<void> {
  const endMs = performance.now() + MOST_REPEAT_MS;
  const turns = Array.from({ length: MOST_REPEATS }, () => [...chosen.entries()]).flat();
  for (const [i, benchmark] of turns) {
    const first = reports[i];
    if (first === undefined || performance.now() > endMs) return;
    if (first.problems.length === 0 || !isDisturbed(first)) continue;
    const second = await measured(benchmark, options);
    if (quietRoundsOf(second) <= quietRoundsOf(first)) continue;
    reports[i] = second;
    if (!json) process.stdout.write(`measured again, less disturbed: ${formatReport(second)}\n`);
  }
}

async function main(args: readonly string[]): Promise<number> {
  const smoke = args.includes('--smoke');
  const json = args.includes('--json');
  const timeAt = args.indexOf('--time');
  const timeMs = timeAt === -1 ? DEFAULT_MS : Number(args[timeAt + 1]);
  const filters = args.filter(
    (arg, index) => !arg.startsWith('--') && (timeAt === -1 || index !== timeAt + 1),
  );
  if (!(timeMs > 0)) {
    process.stderr.write('bench: --time takes a number of milliseconds\n');
    return 2;
  }
  const onlyAt = args.indexOf('--only');
  if (onlyAt !== -1) return await measureOnly(args[onlyAt + 1] ?? '', timeMs);
  const chosen = benchmarks.filter(
    ({ name }) => filters.length === 0 || filters.some((filter) => name.includes(filter)),
  );
  // Its least reading goes to the processes of the benchmarks.
  if (!smoke) new ThroughputGauge().learn(GAUGE_MS);
  const reports: Report[] = [];
  for (const benchmark of chosen) {
    const report = await measured(benchmark, { smoke, timeMs });
    if (!json) process.stdout.write(`${formatReport(report)}\n`);
    reports.push(report);
  }
  if (!smoke) await repeatDisturbed(chosen, reports, { smoke, timeMs }, json);
  const memory =
    filters.length === 0 || filters.includes('memory') ? measureMemory(smoke) : undefined;
  if (memory !== undefined && !json) process.stdout.write(`${formatMemory(memory)}\n`);
  const problems = [...reports, ...(memory === undefined ? [] : [memory])].flatMap(
    (report) => report.problems,
  );
  if (json) {
    const report = { schemaVersion: 1, node: process.version, smoke, reports, memory };
    process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  } else {
    if (whoReason !== undefined) process.stdout.write(`who is not measured: ${whoReason}\n`);
    if (kernelReason !== undefined) {
      process.stdout.write(`not compared with the running kernel: ${kernelReason}\n`);
    }
    process.stdout.write(
      `bench: ${reports.length + (memory === undefined ? 0 : 1)} benchmarks, ${problems.length} problems\n`,
    );
  }
  return problems.length === 0 ? 0 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} finally {
  removeProgram();
}
