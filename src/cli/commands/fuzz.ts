import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RmapError } from '../../base/errors.js';
import type { GenerateOptions, ModeName } from '../../check/generate/generate.js';
import { isModeName, MODE_NAMES, modeOfSeed } from '../../check/generate/generate.js';
import { describeDifference } from '../../trace/difference.js';
import { formatScenario } from '../../trace/scenario.js';
import { formatStateFile } from '../../trace/state.js';
import { cReproducer } from '../c_reproducer.js';
import type { Cli } from '../command.js';
import { defineCommand } from '../command.js';
import { EXIT_FOUND, EXIT_OK } from '../exit_code.js';
import type { ExitCode } from '../exit_code.js';
import { formatCount, formatRate } from '../format.js';
import { fuzzEngine } from '../fuzz_engine.js';
import type { EngineFailure } from '../fuzz_engine.js';
import type { LiveDivergence, LiveFuzzCounts } from '../fuzz_live.js';
import { parseCount } from '../parse_count.js';
import { parseDurationMs } from '../parse_duration.js';
import { profileOf, PROFILE_NAMES } from '../profiles.js';
import { printable } from '../sanitize.js';

interface Options {
  readonly live?: boolean;
  readonly seed: string;
  readonly runs?: string;
  readonly for?: string;
  readonly mode?: string;
  readonly ops: string;
  readonly out?: string;
  readonly most: string;
  readonly profile?: string;
  readonly check?: boolean;
  readonly cReproducer?: boolean;
}

const DEFAULT_RUNS = 1000;
/** Most candidates while a finding is made smaller: a live one takes milliseconds. */
const MOST_LIVE_TESTS = 400;
const MOST_PRINTED = 12;

export const command = defineCommand<[], Options>({
  configure(cli) {
    cli
      .option('--live', 'compare with the running kernel (root; changes settings for a while)')
      .option('--seed <n>', 'seed of the first scenario; each has the next one', '1')
      .option('--runs <n>', `number of scenarios (${DEFAULT_RUNS}, or until --for is over)`)
      .option('--for <time>', 'time to run: 10min')
      .option('--mode <name>', `kind of scenario: ${MODE_NAMES.join(' ')} (all in turn)`)
      .option('--ops <n>', 'operations of a scenario', '40')
      .option('--most <n>', 'stop after this many findings', '1')
      .option('--profile <name>', `kernel build: ${PROFILE_NAMES.join(' ')}`)
      .option('--check', 'check all invariants after every operation')
      .option('--out <dir>', 'save findings as NAME.ops.jsonl and, of a kernel, NAME.state.json')
      .option('--c-reproducer', 'save a stand-alone C program of each finding too');
  },
  async run(cli, _args, options) {
    checkOptions(options);
    const scenarios = planScenarios(options);
    return options.live === true
      ? runLive(cli, options, scenarios)
      : runEngine(cli, options, scenarios);
  },
});

function checkOptions(options: Options): void {
  if (options.mode !== undefined && !isModeName(options.mode)) {
    throw new RmapError(
      'usage',
      `--mode ${JSON.stringify(options.mode)}: expected one of ${MODE_NAMES.join(' ')}`,
    );
  }
  if (options.profile !== undefined) {
    if (options.live === true) throw new RmapError('usage', '--profile: not with --live');
    profileOf(options.profile);
  }
  if (options.cReproducer === true && options.out === undefined) {
    throw new RmapError('usage', '--c-reproducer: needs --out');
  }
}

/** The scenarios to generate, until the number or the time is used up. */
function* planScenarios(options: Options): Generator<GenerateOptions> {
  const firstSeed = parseCount(options.seed, '--seed', 0);
  const operationCount = parseCount(options.ops, '--ops');
  const endMs =
    options.for === undefined
      ? Infinity
      : performance.now() + parseDurationMs(options.for, '--for');
  const runs =
    options.runs === undefined
      ? options.for === undefined
        ? DEFAULT_RUNS
        : Infinity
      : parseCount(options.runs, '--runs');
  for (let run = 0; run < runs && performance.now() < endMs; run += 1) {
    const seed = firstSeed + run;
    const mode = (options.mode as ModeName | undefined) ?? modeOfSeed(seed);
    const isDrained = options.live === true;
    yield { seed, mode, operationCount, isDrained, dumpRate: isDrained ? 0.03 : 0 };
  }
}

/** The command that runs one scenario again. */
function replayLine(options: Options, { seed, mode, operationCount }: GenerateOptions): string {
  const words = ['rmap fuzz'];
  if (options.live === true) words.push('--live');
  words.push(`--mode ${mode} --seed ${seed} --runs 1 --ops ${operationCount}`);
  if (options.profile !== undefined) words.push(`--profile ${options.profile}`);
  if (options.check === true) words.push('--check');
  return words.join(' ');
}

async function runLive(
  cli: Cli,
  options: Options,
  scenarios: Iterable<GenerateOptions>,
): Promise<ExitCode> {
  const { fuzzLive } = await import('../fuzz_live.js');
  const most = parseCount(options.most, '--most');
  const found: LiveDivergence[] = [];
  const progress = await cli.progress('scenarios');
  const startMs = performance.now();
  let counts: LiveFuzzCounts;
  try {
    counts = await fuzzLive({
      scenarios,
      check: options.check === true,
      mostTests: MOST_LIVE_TESTS,
      onWait: () => cli.note('another live run is going on: waiting for it to end'),
      onScenario: ({ scenarios: done }) => progress.update(done),
      onDivergence: (divergence) => {
        found.push(divergence);
        if (!cli.json) printDivergence(cli, options, divergence);
        return found.length < most;
      },
    });
  } finally {
    progress.stop();
  }
  for (const { generated, operations, live } of found) {
    await save(cli, options, generated, operations, formatStateFile(live));
  }
  const perSecond = counts.scenarios / ((performance.now() - startMs) / 1000);
  if (cli.json) {
    const report = {
      schemaVersion: 1,
      ...counts,
      perSecond,
      divergences: found.map((one) => ({ ...one, replay: replayLine(options, one.generated) })),
    };
    cli.printJson(report);
  } else {
    cli.print(
      `${formatCount(counts.scenarios)} scenarios, ${formatCount(counts.operations)} operations ` +
        `on this kernel and in the engine (${formatRate(perSecond)}): ` +
        `${found.length} divergences, ${counts.unsteady} without a steady answer of the kernel`,
    );
  }
  return found.length > 0 ? EXIT_FOUND : EXIT_OK;
}

function printDivergence(cli: Cli, options: Options, divergence: LiveDivergence): void {
  const { generated, operations, differences } = divergence;
  cli.print(`divergence; replay: ${replayLine(options, generated)}`);
  for (const line of formatScenario(operations).trimEnd().split('\n')) cli.print(`  ${line}`);
  for (const difference of differences.slice(0, MOST_PRINTED)) {
    cli.print(`  kernel and engine: ${printable(describeDifference(difference))}`);
  }
}

async function save(
  cli: Cli,
  options: Options,
  generated: GenerateOptions,
  operations: LiveDivergence['operations'],
  stateText: string | undefined,
): Promise<void> {
  if (options.out === undefined) return;
  await mkdir(options.out, { recursive: true });
  const path = join(options.out, `${generated.mode}_${generated.seed}`);
  await writeFile(`${path}.ops.jsonl`, formatScenario(operations));
  if (stateText !== undefined) await writeFile(`${path}.state.json`, stateText);
  if (options.cReproducer !== true) return;
  const program = cReproducer(operations);
  if (typeof program === 'string') await writeFile(`${path}.c`, program);
  else cli.note(`${path}: no C program, it has ${program.unsupported}`);
}

async function runEngine(
  cli: Cli,
  options: Options,
  scenarios: Iterable<GenerateOptions>,
): Promise<ExitCode> {
  const most = parseCount(options.most, '--most');
  const found: EngineFailure[] = [];
  const progress = await cli.progress('scenarios');
  const startMs = performance.now();
  const counts = await fuzzEngine({
    scenarios,
    check: options.check === true,
    profile: options.profile === undefined ? undefined : profileOf(options.profile),
    onStart: (generated) => cli.setReplay(replayLine(options, generated)),
    onScenario: (done) => progress.update(done),
    onFailure: (failure) => {
      found.push(failure);
      if (!cli.json) printFailure(cli, options, failure);
      return found.length < most;
    },
  }).finally(() => progress.stop());
  for (const { generated, operations } of found) {
    await save(cli, options, generated, operations, undefined);
  }
  const perSecond = counts.scenarios / ((performance.now() - startMs) / 1000);
  if (cli.json) {
    const report = {
      schemaVersion: 1,
      ...counts,
      perSecond,
      failures: found.map((one) => ({ ...one, replay: replayLine(options, one.generated) })),
    };
    cli.printJson(report);
  } else {
    cli.print(
      `${formatCount(counts.scenarios)} scenarios, ${formatCount(counts.operations)} operations, ` +
        `${formatRate(perSecond)}: ${found.length} failures`,
    );
  }
  return found.length > 0 ? EXIT_FOUND : EXIT_OK;
}

function printFailure(cli: Cli, options: Options, failure: EngineFailure): void {
  cli.print(`${printable(failure.message)}; replay: ${replayLine(options, failure.generated)}`);
  for (const line of formatScenario(failure.operations).trimEnd().split('\n')) {
    cli.print(`  ${line}`);
  }
}
