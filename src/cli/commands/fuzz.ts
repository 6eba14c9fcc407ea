import { availableParallelism } from 'node:os';
import { RmapError } from '../../base/errors.js';
import { LIVE_MODE_NAMES, MODE_NAMES } from '../../check/generate/modes.js';
import { PROFILE_NAMES } from '../../check/generate/profiles.js';
import type { Cli } from '../command.js';
import { defineCommand } from '../command.js';
import { EXIT_FOUND, EXIT_OK } from '../exit_code.js';
import { formatCount, formatRate } from '../format.js';
import type { EngineFuzzOptions } from '../fuzz_engine.js';
import { findingJson, printFinding, saveFinding } from '../fuzz_findings.js';
import type { FuzzFinding } from '../fuzz_findings.js';
import { DEFAULT_RUNS, planJobs, planScenarios, replayLine } from '../fuzz_plan.js';
import type { PlannedScenario, PlanOptions } from '../fuzz_plan.js';
import { parseCount } from '../parse_count.js';
import { untilStopped } from '../until_stopped.js';

interface Options extends PlanOptions {
  readonly out?: string;
  readonly most: string;
  readonly jobs?: string;
  readonly cReproducer?: boolean;
}

/** What was performed. */
interface Counts {
  readonly scenarios: number;
  readonly operations: number;
  /** Of a live run: scenarios on which the kernel did not answer the same twice. */
  readonly unsteady?: number;
  /** Of a live run: scenarios that ran out of hugetlb pages on a host that has lost some. */
  readonly untrusted?: number;
}

/** Most candidates while a finding is made smaller: a live one takes milliseconds. */
const MOST_LIVE_TESTS = 400;

const ENGINE_ONLY = MODE_NAMES.filter((name) => !LIVE_MODE_NAMES.some((live) => live === name));

export const command = defineCommand<[], Options>({
  configure(cli) {
    cli
      .option('--live', 'compare with the running kernel (root; changes settings for a while)')
      .option('--seed <n>', 'seed of the first scenario; each has the next one', '1')
      .option('--runs <n>', `number of scenarios (${DEFAULT_RUNS}, or until --for is over)`)
      .option('--for <time>', 'time to run: 10min')
      .option(
        '--mode <name>',
        `kind of scenario: ${LIVE_MODE_NAMES.join(' ')}, ` +
          `and not with --live: ${ENGINE_ONLY.join(' ')} (all in turn)`,
      )
      .option('--ops <n>', 'operations of a scenario', '40')
      .option('--most <n>', 'stop after this many findings', '1')
      .option('--profile <name>', `machine: ${PROFILE_NAMES.join(' ')} (all in turn)`)
      .option(
        '--jobs <n>',
        'scenarios at a time, not with --live; the results are the same (one for each processor)',
      )
      .option('--check', 'check all invariants and the content of memory after every operation')
      .option('--out <dir>', 'save findings as NAME.ops.jsonl and, of a kernel, NAME.state.json')
      .option('--c-reproducer', 'save a stand-alone C program of each finding too');
  },
  async run(cli, _args, options) {
    if (options.cReproducer === true && options.out === undefined) {
      throw new RmapError('usage', '--c-reproducer: needs --out');
    }
    const scenarios = planScenarios(options);
    const most = parseCount(options.most, '--most');
    const jobs = planJobs(options, availableParallelism());
    const found: FuzzFinding[] = [];
    const { out } = options;
    const onFinding = async (finding: FuzzFinding): Promise<boolean> => {
      found.push(finding);
      if (!cli.json) printFinding(cli, options, finding);
      if (out !== undefined) await saveFinding(cli, out, finding, options.cReproducer === true);
      return found.length < most;
    };
    const startMs = performance.now();
    const counts = await untilStopped(async (isStopped) => {
      const until = whileNot(isStopped, scenarios);
      return options.live === true
        ? await runLive(cli, options, until, onFinding)
        : await runEngine(cli, options, until, onFinding, jobs);
    });
    const perSecond = counts.scenarios / ((performance.now() - startMs) / 1000);
    report(cli, options, { counts, perSecond, found });
    return found.length > 0 ? EXIT_FOUND : EXIT_OK;
  },
});

type OnFinding = (finding: FuzzFinding) => Promise<boolean>;

/** What comes until somebody asks for the end: what was found until then is reported. */
function* whileNot<T>(isStopped: () => boolean, items: Iterable<T>): Generator<T> {
  for (const item of items) {
    if (isStopped()) return;
    yield item;
  }
}

async function runLive(
  cli: Cli,
  options: Options,
  scenarios: Iterable<PlannedScenario>,
  onFinding: OnFinding,
): Promise<Counts> {
  const { fuzzLive } = await import('../fuzz_live.js');
  const progress = await cli.progress('scenarios');
  return await fuzzLive({
    scenarios,
    check: options.check === true,
    mostTests: MOST_LIVE_TESTS,
    onWait: () => cli.note('another live run is going on: waiting for it to end'),
    onScenario: (done) => progress.update(done),
    onUnsteady: (planned) => cli.note(`no steady answer: ${replayLine(options, planned)}`),
    onFinding,
  }).finally(() => progress.stop());
}

async function runEngine(
  cli: Cli,
  options: Options,
  scenarios: Iterable<PlannedScenario>,
  onFinding: OnFinding,
  jobs: number,
): Promise<Counts> {
  const perform =
    jobs === 1
      ? (await import('../fuzz_engine.js')).fuzzEngine
      : (await import('../fuzz_threads.js')).fuzzThreads;
  const progress = await cli.progress('scenarios');
  const fuzzOptions: EngineFuzzOptions = {
    scenarios,
    check: options.check === true,
    onStart: (planned) => cli.setReplay(replayLine(options, planned)),
    onScenario: (done) => progress.update(done),
    onFinding,
  };
  return await perform(fuzzOptions, jobs).finally(() => progress.stop());
}

interface Outcome {
  readonly counts: Counts;
  readonly perSecond: number;
  readonly found: readonly FuzzFinding[];
}

function report(cli: Cli, options: Options, { counts, perSecond, found }: Outcome): void {
  if (cli.json) {
    const findings = found.map((finding) => findingJson(options, finding));
    const json = { schemaVersion: 1, ...counts, perSecond, findings };
    cli.printJson(json);
    return;
  }
  const { scenarios, operations, unsteady, untrusted = 0 } = counts;
  const where = unsteady === undefined ? '' : ' on this kernel and in the engine';
  const doubts =
    unsteady === undefined ? '' : `, ${unsteady} without a steady answer of the kernel`;
  if (untrusted > 0) {
    cli.note(
      `${untrusted} scenarios not judged: they ran out of hugetlb pages, and this host has lost ` +
        'some (HugePages_Rsvd of /proc/meminfo is never 0 again)',
    );
  }
  cli.print(
    `${formatCount(scenarios)} scenarios, ${formatCount(operations)} operations${where} ` +
      `(${formatRate(perSecond)}): ${formatCount(found.length)} findings${doubts}`,
  );
}
