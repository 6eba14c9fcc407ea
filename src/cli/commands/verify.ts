import { RmapError } from '../../base/errors.js';
import { checkMachine } from '../../check/check_machine.js';
import { statePathOf, verifyScenarioFile, type RunFileOptions } from '../../query/scenario.js';
import type { StateComparison } from '../../trace/difference.js';
import { describeDifference } from '../../trace/difference.js';
import type { Cli } from '../command.js';
import { defineCommand } from '../command.js';
import { verifyCowMatrix } from '../cow_matrix_report.js';
import { EXIT_FOUND, EXIT_OK } from '../exit_code.js';
import type { ExitCode } from '../exit_code.js';
import { parseCount } from '../parse_count.js';
import { printable } from '../sanitize.js';

interface VerifyOptions {
  readonly check?: boolean;
  readonly live?: boolean;
  readonly tries?: string;
  readonly cowMatrix?: boolean;
}

/** What one scenario was compared with, and what differs. */
interface FileReport {
  readonly file: string;
  readonly differences: number;
  /** `given` is the state file, `live` the running kernel, `engine` what rmap computes. */
  readonly comparisons: ReadonlyArray<{
    readonly expected: 'given' | 'live';
    readonly got: 'live' | 'engine';
    readonly differences: number;
    readonly listed: StateComparison['differences'];
  }>;
  /** How often the kernel performed it. */
  readonly tries?: number;
}

export const command = defineCommand<[string[]], VerifyOptions>({
  configure(cli) {
    cli
      .argument('[files...]', 'scenarios (NAME.ops.jsonl) with NAME.state.json beside them')
      .option('--cow-matrix', "run the 778 checks of the kernel's copy-on-write selftest")
      .option('--check', 'check all invariants and the content of memory after every operation')
      .option(
        '--live',
        'perform them on the running kernel too (root; changes settings for a while)',
      )
      .option('--tries <n>', 'most performances of a scenario that differs (3), with --live');
  },
  async run(cli, [files], options) {
    if (options.cowMatrix === true) return await verifyCowMatrix(cli);
    if (files.length === 0) throw new RmapError('usage', 'give at least one NAME.ops.jsonl');
    if (options.live !== true && options.tries !== undefined) {
      throw new RmapError('usage', '--tries: only with --live');
    }
    for (const file of files) statePathOf(file);
    return options.live === true
      ? verifyFilesLive(cli, files, options)
      : verifyFiles(cli, files, options);
  },
});

function watching({ check }: VerifyOptions): RunFileOptions {
  return check === true ? { watch: checkMachine } : {};
}

async function verifyFiles(
  cli: Cli,
  files: readonly string[],
  options: VerifyOptions,
): Promise<ExitCode> {
  const reports: FileReport[] = [];
  const progress = await cli.progress('verify', files.length);
  try {
    for (const file of files) {
      const comparison = await verifyScenarioFile(file, watching(options));
      report(cli, reports, { file }, [['given', 'engine', comparison]]);
      progress.update(reports.length);
    }
  } finally {
    progress.stop();
  }
  return finish(cli, reports, 'agree with Linux (exact)');
}

/** Given state, running kernel and engine; each scenario up to `--tries` times. */
async function verifyFilesLive(
  cli: Cli,
  files: readonly string[],
  options: VerifyOptions,
): Promise<ExitCode> {
  const tries = options.tries === undefined ? undefined : parseCount(options.tries, '--tries');
  const { verifyLive } = await import('../../linux/verify_live.js');
  const { computeStates } = await import('../../query/scenario.js');
  const reports: FileReport[] = [];
  const progress = await cli.progress('verify', files.length);
  try {
    await verifyLive(files, {
      ...(tries === undefined ? {} : { tries }),
      engine: (operations) => computeStates(operations, watching(options)),
      onWait: () => cli.note('another live run is going on: waiting for it to end'),
      onVerdict: (verdict) => {
        const { file, given, engine } = verdict;
        report(cli, reports, { file, tries: verdict.tries }, [
          ['given', 'live', given],
          ['live', 'engine', engine],
        ]);
        progress.update(reports.length);
      },
    });
  } finally {
    progress.stop();
  }
  return finish(cli, reports, 'agree: given state, this kernel and the engine (exact)');
}

type Compared = readonly ['given' | 'live', 'live' | 'engine', StateComparison | undefined];

const WORDS = { given: 'state file', live: 'this kernel', engine: 'engine' } as const;

function report(
  cli: Cli,
  reports: FileReport[],
  head: { readonly file: string; readonly tries?: number },
  compared: readonly Compared[],
): void {
  const comparisons: Array<FileReport['comparisons'][number]> = [];
  for (const [expected, got, comparison] of compared) {
    if (comparison === undefined) continue;
    const { count, differences } = comparison;
    comparisons.push({ expected, got, differences: count, listed: differences });
    if (cli.json || count === 0) continue;
    cli.print(
      `${printable(head.file)}: ${count} differences, ${WORDS[expected]} and ${WORDS[got]}`,
    );
    for (const difference of differences)
      cli.print(`  ${printable(describeDifference(difference))}`);
  }
  const differences = comparisons.reduce((sum, one) => sum + one.differences, 0);
  reports.push({ ...head, differences, comparisons });
}

function finish(cli: Cli, reports: readonly FileReport[], claim: string): ExitCode {
  const differing = reports.filter(({ differences }) => differences > 0).length;
  if (cli.json) {
    const summary = { schemaVersion: 1, scenarios: reports.length, differing, files: reports };
    cli.printJson(summary);
  } else {
    cli.print(`${reports.length - differing} of ${reports.length} scenarios ${claim}`);
  }
  return differing > 0 ? EXIT_FOUND : EXIT_OK;
}
