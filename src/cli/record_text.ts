import type { CleanUpReport } from '../linux/clean_up.js';
import type { FlagRecordReport } from '../linux/flag_recorder.js';
import type { RecordReport, SnapshotReport, WriteFailure } from '../linux/recorder_options.js';
import type { Cli } from './command.js';
import { counted } from './counted.js';
import { systemErrorText } from './failure.js';
import { formatBytes, formatCount, formatDuration, formatPercent, formatRate } from './format.js';
import { printable } from './sanitize.js';
import { printTable } from './table.js';

/** Says what dead recorders had left behind, if anything. */
export function noteCleanUp(cli: Cli, { instances, cgroups, resumedPids }: CleanUpReport): void {
  if (instances.length + cgroups.length + resumedPids.length === 0) return;
  const resumed = resumedPids.length === 0 ? '' : `, resumed ${resumedPids.join(' ')}`;
  cli.note(
    `cleaned up after a killed recorder: ${counted(instances.length, 'trace instance')}, ` +
      `${counted(cgroups.length, 'cgroup')}${resumed}`,
  );
}

/** One line for each snapshot while recording. */
export function snapshotLine({ name, processes, anonPages, pauseMs }: SnapshotReport): string {
  const pages = `${counted(anonPages, 'anonymous page')} in ${counted(processes, 'process')}`;
  return `snapshot ${name}: ${pages}, held ${formatDuration(pauseMs)}`;
}

/** Measured cost of one event to the recorded program, in µs: fault storm, one process. */
const EVENT_COST_US = { least: 0.25, most: 0.6 } as const;

function lossText(report: RecordReport): string {
  if (report.lostEvents === 0) return '0 lost';
  return `${formatCount(report.lostEvents)} LOST (use a larger --buffer)`;
}

function overheadText(report: RecordReport): string {
  const recorder = `recorder ${formatDuration(report.recorderCpuMs)} CPU`;
  const share = formatPercent(report.recorderCpuMs, report.durationMs);
  const least = (report.events * EVENT_COST_US.least) / 1000;
  const most = (report.events * EVENT_COST_US.most) / 1000;
  const cost = `tracing ${formatDuration(least)} to ${formatDuration(most)}`;
  const target = report.targetCpuMs;
  const ofTarget =
    target === undefined || target === 0
      ? ''
      : ` of ${formatDuration(target)} CPU (at most ${formatPercent(most, target)}, estimated)`;
  return `${recorder} (${share} of one CPU); ${cost}${ofTarget}`;
}

/** Three lines: what was recorded, what it cost, where it is; then the next command. */
export function printRecord(cli: Cli, report: RecordReport): void {
  const perSecond = (report.events * 1000) / report.durationMs;
  const pausedMs = report.snapshots.reduce((sum, { pauseMs }) => sum + pauseMs, 0);
  const longestMs = report.snapshots.reduce((most, { pauseMs }) => Math.max(most, pauseMs), 0);
  const held =
    report.snapshots.length === 0
      ? 'no snapshot: the replay cannot be checked'
      : `${counted(report.snapshots.length, 'snapshot')} held it ${formatDuration(pausedMs)} in all, ` +
        `${formatDuration(longestMs)} at most`;
  const leftOut = report.snapshotsLeftOut === 0 ? '' : `, ${report.snapshotsLeftOut} left out`;
  cli.print(
    `recorded  ${formatCount(report.events)} events in ${formatDuration(report.durationMs)} ` +
      `(${formatRate(perSecond)}), ${lossText(report)}; ${held}${leftOut}`,
  );
  cli.print(`overhead  ${overheadText(report)}`);
  const size = formatBytes(report.sizeBytes, cli.exactBytes);
  const form = report.form === 'native' ? 'tables' : 'raw pages';
  cli.print(
    `written   ${printable(report.path)}, ${size} of ${form}; ended by: ${endText(report)}`,
  );
  if (report.writeFailure !== undefined) {
    const unwritten = formatBytes(report.unwrittenBytes, cli.exactBytes);
    cli.note(`the recording ends early: ${unwritten} of events could not be written`);
    noteFailure(cli, report.writeFailure);
  }
  noteRunning(cli, report);
  if (report.missingEvents.length > 0) {
    cli.note(`this kernel lacks ${report.missingEvents.join(', ')}`);
  }
  cli.next(`rmap explain ${printable(report.path)}`);
}

function noteFailure(cli: Cli, { path, call, code, freeBytes }: WriteFailure): void {
  const free = formatBytes(freeBytes, cli.exactBytes);
  cli.note(`${printable(path)}: ${call}: ${systemErrorText(code)} (${code}); ${free} are free now`);
}

/** Says that the command was left to run. */
function noteRunning(
  cli: Cli,
  { stopReason, runningCommandPid }: Pick<RecordReport, 'stopReason' | 'runningCommandPid'>,
): void {
  if (runningCommandPid === undefined) return;
  const signal = stopReason === 'interrupted' ? 'SIGINT' : 'SIGTERM';
  cli.note(`the command (process ${runningCommandPid}) still runs after ${signal}`);
}

function endText({ stopReason, commandEnd }: RecordReport): string {
  if (commandEnd?.signal !== undefined) return `${stopReason} (${commandEnd.signal})`;
  if (commandEnd?.exitCode !== undefined) return `${stopReason} (exit ${commandEnd.exitCode})`;
  return stopReason;
}

/** Prints how sharing went over time. */
export function printFlagRecord(cli: Cli, report: FlagRecordReport): void {
  printTable(
    cli,
    {
      title: 'anonymous memory over time',
      precision: report.precision,
      limit: 40,
      empty: 'the command ended before the first look: use --snapshot-every 50ms',
      columns: [
        { header: 'at', value: (row) => formatDuration(row.atMs) },
        { header: 'processes', value: (row) => row.processCount, unit: 'count' },
        { header: 'shared', value: (row) => row.sharedBytes, unit: 'bytes' },
        { header: 'own', value: (row) => row.ownBytes, unit: 'bytes' },
        { header: 'files', value: (row) => row.fileBytes, unit: 'bytes' },
        { header: 'held for', value: (row) => formatDuration(row.pauseMs) },
      ],
    },
    report.samples,
  );
  cli.print(`written ${printable(report.path)}; ended by: ${report.stopReason}`);
  if (report.writeFailure !== undefined) noteFailure(cli, report.writeFailure);
  noteRunning(cli, report);
  cli.next('rmap doctor');
}
