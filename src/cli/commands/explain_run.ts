import { readFileSync, statSync } from 'node:fs';
import { explain } from '../../query/explain/explain.js';
import { parseFailIf } from '../../query/explain/fail_if.js';
import type { ExplainReport } from '../../query/explain/report.js';
import { withRecording } from '../../trace/threaded/with_recording.js';
import type { OpeningRecording } from '../../trace/threaded/reader_thread.js';
import type { Cli } from '../command.js';
import { demangle } from '../demangler.js';
import { EXIT_FOUND, EXIT_LOST_EVENTS, EXIT_OK, type ExitCode } from '../exit_code.js';
import { parseDurationMs } from '../parse_duration.js';
import type { ExplainCliOptions } from './explain.js';
import { printExplain } from './explain_text.js';

/** Program files larger than this are not read for symbols. */
const MOST_MODULE_BYTES = 512 * 2 ** 20;

/** Explains a recording that may be about to be opened, and prints or writes the report. */
export async function runExplain(
  cli: Cli,
  path: string,
  options: ExplainCliOptions,
  opening: OpeningRecording | undefined,
): Promise<ExitCode> {
  let asked: ReturnType<typeof parseOptions>;
  try {
    asked = parseOptions(options);
  } catch (error) {
    opening?.thread.release();
    throw error;
  }
  const report = await withRecording(
    path,
    async (recording) => {
      const { events } = recording.info;
      const progress = await cli.progress('explain', events < 0 ? undefined : events);
      try {
        return await explain(recording, {
          ...asked,
          readModule,
          demangle,
          onProgress: (count) => progress.update(count),
        });
      } finally {
        progress.stop();
      }
    },
    opening,
  );
  if (options.html !== undefined) {
    const { writeHtmlReport } = await import('../../export/html_report/write.js');
    writeHtmlReport(options.html, report, options.force === true);
  }
  if (cli.json) cli.printJson(report);
  else printExplain(cli, report, { path, html: options.html });
  return exitCode(report);
}

function parseOptions({ failIf = [], from, to }: ExplainCliOptions) {
  return {
    failIf: failIf.map(parseFailIf),
    fromNs: timeNs(from, '--from') ?? 0,
    toNs: timeNs(to, '--to') ?? Number.POSITIVE_INFINITY,
  };
}

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
