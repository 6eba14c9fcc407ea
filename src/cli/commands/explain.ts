import { readFileSync, statSync } from 'node:fs';
import { explain } from '../../query/explain/explain.js';
import { parseFailIf } from '../../query/explain/fail_if.js';
import type { ExplainReport } from '../../query/explain/report.js';
import { openRecording } from '../../trace/open.js';
import { defineCommand } from '../command.js';
import { EXIT_FOUND, EXIT_LOST_EVENTS, EXIT_OK, type ExitCode } from '../exit_code.js';
import { parseDurationMs } from '../parse_duration.js';
import { printExplain } from './explain_text.js';

interface ExplainCliOptions {
  readonly html?: string;
  readonly force?: boolean;
  readonly from?: string;
  readonly to?: string;
  readonly failIf?: readonly string[];
}

/** Program files larger than this are not read for symbols. */
const MOST_MODULE_BYTES = 512 * 2 ** 20;

export const command = defineCommand<[string], ExplainCliOptions>({
  configure(cli) {
    cli
      .argument('<recording>', 'a recording')
      .option('--html <file>', 'write the report as one page that needs nothing else')
      .option('-f, --force', 'overwrite the file of --html')
      .option('--from <time>', 'look at the recording from here on, such as 2.5s')
      .option('--to <time>', 'look at the recording up to here')
      .option(
        '--fail-if <condition>',
        "exit with 1 if it holds: 'shared_after(60s) < 70%', 'unshared_bytes > 64MiB'; repeatable",
        (condition: string, before: readonly string[]) => [...before, condition],
        [],
      );
  },
  async run(cli, [path], options) {
    const failIf = (options.failIf ?? []).map(parseFailIf);
    const fromNs = timeNs(options.from, '--from') ?? 0;
    const toNs = timeNs(options.to, '--to') ?? Number.POSITIVE_INFINITY;
    const recording = await openRecording(path);
    const { events } = recording.info;
    const progress = await cli.progress('explain', events < 0 ? undefined : events);
    let report: ExplainReport;
    try {
      report = await explain(recording, {
        fromNs,
        toNs,
        failIf,
        readModule,
        onProgress: (count) => progress.update(count),
      });
    } finally {
      progress.stop();
    }
    if (options.html !== undefined) {
      const { writeHtmlReport } = await import('../../export/html_report/write.js');
      writeHtmlReport(options.html, report, options.force === true);
    }
    if (cli.json) cli.printJson(report);
    else printExplain(cli, report, { path, html: options.html });
    return exitCode(report);
  },
});

function exitCode(report: ExplainReport): ExitCode {
  if (report.lostEvents !== 0) return EXIT_LOST_EVENTS;
  return report.budgets.some((budget) => budget.failed) ? EXIT_FOUND : EXIT_OK;
}

function timeNs(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  return /^0+(?:\.0+)?(?:ms|s|min|h)?$/.test(text) ? 0 : parseDurationMs(text, option) * 1e6;
}

/** A program file for its symbols. What is not there or not a plain file has none. */
function readModule(path: string): Uint8Array | undefined {
  try {
    const { size } = statSync(path);
    if (!statSync(path).isFile() || size > MOST_MODULE_BYTES) return undefined;
    return readFileSync(path);
  } catch {
    return undefined;
  }
}
