import {
  agreementPercent,
  disagrees,
  replayReport,
  type ReplayReport,
} from '../../query/replay_report.js';
import { replay } from '../../replay/replay.js';
import type { Recording } from '../../trace/recording.js';
import type { Cli } from '../command.js';
import { EXIT_FOUND, EXIT_LOST_EVENTS, EXIT_OK, type ExitCode } from '../exit_code.js';
import { formatCount } from '../format.js';
import { printable } from '../sanitize.js';
import type { ReplayCliOptions } from './replay.js';

/** Replays an open recording and prints how it compares. */
export async function runReplay(
  cli: Cli,
  recording: Recording,
  options: ReplayCliOptions,
): Promise<ExitCode> {
  const { events } = recording.info;
  const progress = await cli.progress('replay', events < 0 ? undefined : events);
  const result = await replay(recording, {
    ...options,
    onProgress: (count) => progress.update(count),
  });
  progress.stop();
  const report = replayReport(result);
  if (cli.json) cli.printJson(report);
  else printReport(cli, report, recording.path);
  return exitCode(report);
}

function exitCode(report: ReplayReport): ExitCode {
  if (report.lostEvents !== 0) return EXIT_LOST_EVENTS;
  return disagrees(report) ? EXIT_FOUND : EXIT_OK;
}

function printReport(cli: Cli, report: ReplayReport, path: string): void {
  const rate = report.elapsedMs > 0 ? (report.events / report.elapsedMs / 1000).toFixed(2) : '–';
  const { findings } = report;
  cli.print(
    `${printable(report.recording)}: ${formatCount(report.events)} events in ` +
      `${report.elapsedMs} ms (${rate} M events/s), ${report.precision}`,
  );
  for (const snapshot of report.snapshots) {
    const wrong = [
      [snapshot.missing, 'missing'],
      [snapshot.extra, 'extra'],
      [snapshot.mapcountWrong, 'with another mapcount'],
      [snapshot.sharersWrong, 'with other sharers'],
    ] as const;
    const problems = wrong
      .filter(([count]) => count > 0)
      .map(([count, what]) => `${formatCount(count)} ${what}`);
    cli.print(
      `${printable(snapshot.name)}: ${formatCount(snapshot.agree)} of ` +
        `${formatCount(snapshot.anonymousPages)} anonymous pages agree ` +
        `(${agreementPercent(snapshot)})${problems.length > 0 ? `: ${problems.join(', ')}` : ''}`,
    );
    if (snapshot.swappedPages > 0) {
      cli.print(
        `  ${formatCount(snapshot.swappedAgree)} of ${formatCount(snapshot.swappedPages)} ` +
          'swapped pages agree',
      );
    }
  }
  const copies = findings.copiesAgree + findings.reusesAgree;
  const copyErrors = findings.copiesTooMany + findings.copiesMissed;
  cli.print(
    `copy or reuse: ${formatCount(copies)} of ${formatCount(copies + copyErrors)} write faults as ` +
      'the allocations show',
  );
  cli.print(
    `counters: ${formatCount(findings.countersAgree)} of ${formatCount(findings.countersChecked)} ` +
      'anonymous counters equal after a fault',
  );
  const daemons = [
    [findings.pagesSwappedOut, 'pages swapped out'],
    [findings.pagesMerged, 'merged by ksmd'],
    [findings.blocksCollapsed, 'blocks collapsed by khugepaged'],
  ] as const;
  if (daemons.some(([count]) => count > 0)) {
    const parts = daemons
      .filter(([count]) => count > 0)
      .map(([count, what]) => `${formatCount(count)} ${what}`);
    cli.print(`without the program's doing: ${parts.join(', ')}`);
  }
  if (findings.processesUnknown > 0) {
    cli.note(
      `${formatCount(findings.processesUnknown)} processes were running before the recording ` +
        'began and are in no snapshot: what they had is not known',
    );
  }
  if (findings.pagesAttachedApart > 0) {
    cli.note(
      `${formatCount(findings.pagesAttachedApart)} pages of the first snapshot are shared in a ` +
        'way that could not be made',
    );
  }
  if (findings.pagesUnplaced > 0) {
    cli.print(
      `pages added without a fault: ${formatCount(findings.pagesUnplaced)} ` +
        '(their address is not in the recording)',
    );
  }
  if (report.lostEvents !== 0) {
    const count = report.lostEvents < 0 ? 'some' : formatCount(report.lostEvents);
    cli.note(`${count} events were lost while recording: what follows a gap is uncertain`);
  }
  cli.next(`rmap explain ${path}`);
}
