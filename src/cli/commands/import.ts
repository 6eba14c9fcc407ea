import { RmapError } from '../../base/errors.js';
import type { ImportReport } from '../../trace/import/import_source.js';
import { importSource } from '../../trace/import/import_source.js';
import type { ImportFormat } from '../../trace/import/imported_recording.js';
import { IMPORT_FORMATS } from '../../trace/import/imported_recording.js';
import type { Cli } from '../command.js';
import { defineCommand } from '../command.js';
import { EXIT_LOST_EVENTS, EXIT_OK } from '../exit_code.js';
import { formatBytes, formatCount } from '../format.js';
import { printable } from '../sanitize.js';

interface ImportCommandOptions {
  readonly output: string;
  readonly force?: boolean;
  readonly from?: string;
}

export const command = defineCommand<[source: string], ImportCommandOptions>({
  configure(cli) {
    cli
      .argument('<source>', 'text of perf script, ftrace, strace or perf trace, or a recording')
      .requiredOption('-o, --output <dir>', 'directory of the recording to write')
      .option('-f, --force', 'replace a recording that is there already')
      .option('--from <format>', `format of a text: ${IMPORT_FORMATS.join(', ')}`);
  },
  async run(cli, [source], { output, force, from }) {
    const format = from === undefined ? undefined : parseFormat(from);
    const progress = await cli.progress('import');
    let report: ImportReport;
    try {
      report = await importSource(source, output, {
        isForced: force === true,
        onProgress: (events) => progress.update(events),
        ...(format === undefined ? {} : { format }),
      });
    } finally {
      progress.stop();
    }
    if (cli.json) cli.printJson(report);
    else printReport(cli, report);
    return report.lostEvents === 0 ? EXIT_OK : EXIT_LOST_EVENTS;
  },
});

function parseFormat(name: string): ImportFormat {
  const format = IMPORT_FORMATS.find((candidate) => candidate === name);
  if (format !== undefined) return format;
  throw new RmapError('usage', `--from ${name}: expected one of ${IMPORT_FORMATS.join(', ')}`);
}

function printReport(cli: Cli, report: ImportReport): void {
  const { events, snapshots, sizeBytes, lostEvents, precision } = report;
  const size = formatBytes(sizeBytes, cli.exactBytes);
  const target = printable(report.target);
  cli.print(
    `${formatCount(events)} events and ${formatCount(snapshots)} snapshots ` +
      `of ${printable(report.sourceFormat)} in ${target} (${size}, ${precision})`,
  );
  if (lostEvents !== 0) {
    const count = lostEvents < 0 ? 'an unknown number of' : formatCount(lostEvents);
    cli.print(`${count} events were lost while recording`);
  }
  for (const sentence of report.unknowns) cli.print(`- ${printable(sentence)}`);
  cli.next(`rmap explain ${target}`);
}
