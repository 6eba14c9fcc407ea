import { basename } from 'node:path';
import { RmapError } from '../../base/errors.js';
import { record } from '../../linux/recorder.js';
import type { CleanUpReport } from '../../linux/clean_up.js';
import { DEFAULT_SCHEDULE } from '../../linux/recorder_options.js';
import type {
  RecordOptions,
  RecordReport,
  RecordTarget,
  SnapshotReport,
  SnapshotSchedule,
} from '../../linux/recorder_options.js';
import { DEEP_SETS, DEFAULT_SETS } from '../../linux/trace_events.js';
import { defineCommand } from '../command.js';
import type { Cli } from '../command.js';
import { EXIT_LOST_EVENTS, EXIT_OK } from '../exit_code.js';
import { formatBytes, formatCount, formatDuration, formatPercent, formatRate } from '../format.js';
import { parseDurationMs, parsePids } from '../parse_duration.js';
import { printable } from '../sanitize.js';

interface Options {
  readonly output?: string;
  readonly force?: boolean;
  readonly deep?: boolean;
  readonly for?: string;
  readonly pid?: readonly string[];
  readonly cgroup?: string;
  readonly snapshotEvery?: string;
  readonly snapshotAtFork?: boolean;
  readonly buffer: string;
}

export const command = defineCommand<[string[]], Options>({
  configure(cli) {
    cli
      .argument('[command...]', 'program to start and record, after --')
      .option('-o, --output <dir>', 'directory to write (default: NAME.rec)')
      .option('-f, --force', 'replace an older recording')
      .option('--pid <pids...>', 'record running processes and what they fork')
      .option('--cgroup <path>', 'record all processes of a cgroup (version 2)')
      .option('--for <time>', 'stop after this time: 500ms, 60s, 5min, 2h')
      .option('--deep', 'also record freed pages, KSM, khugepaged, migration and swap-out')
      .option(
        '--snapshot-every <time>',
        'a steady interval, or "never" (default: 0.25, 1, 4, 16 s …)',
      )
      .option('--snapshot-at-fork', 'a snapshot soon after each fork (≤ 20 ms)')
      .option('--buffer <MiB>', 'ring buffer of each CPU', '16')
      .addHelpText(
        'after',
        '\nSIGUSR1 takes a snapshot. ^C and SIGTERM end the recording and pass on to the command.',
      );
  },
  async run(cli, [words], options) {
    const target = targetOf(words, options);
    const recordOptions = recordOptionsOf(target, options);
    const progress = await cli.progress('recording');
    let report: RecordReport;
    try {
      report = await record(recordOptions, {
        cleanedUp: (cleaned) => noteCleanUp(cli, cleaned),
        started: (pids) => cli.note(`recording ${pids.length} processes; ^C ends it`),
        snapshotTaken: (snapshot) => cli.note(snapshotLine(snapshot)),
        progress: (events) => progress.update(events),
      });
    } finally {
      progress.stop();
    }
    if (cli.json) cli.printJson(report);
    else printReport(cli, report);
    return report.lostEvents > 0 ? EXIT_LOST_EVENTS : EXIT_OK;
  },
});

function targetOf(words: readonly string[], options: Options): RecordTarget {
  const chosen: RecordTarget[] = [];
  if (words.length > 0) chosen.push({ kind: 'command', command: words });
  if (options.pid !== undefined) chosen.push({ kind: 'pids', pids: parsePids(options.pid) });
  if (options.cgroup !== undefined) chosen.push({ kind: 'cgroup', path: options.cgroup });
  const [target] = chosen;
  if (chosen.length === 1 && target !== undefined) return target;
  throw new RmapError('usage', 'give one of: -- COMMAND…, --pid PID, --cgroup PATH');
}

function defaultPath(target: RecordTarget): string {
  switch (target.kind) {
    case 'command':
      return `${basename(target.command[0] ?? 'command')}.rec`;
    case 'pids':
      return `pid-${target.pids[0] ?? 0}.rec`;
    case 'cgroup':
      return `${basename(target.path)}.rec`;
  }
}

function scheduleOf(options: Options): SnapshotSchedule | undefined {
  const { snapshotEvery } = options;
  if (snapshotEvery === undefined) return DEFAULT_SCHEDULE;
  if (snapshotEvery === 'never') return undefined;
  const firstMs = parseDurationMs(snapshotEvery, '--snapshot-every');
  return { firstMs, factor: 1, longestMs: firstMs };
}

function recordOptionsOf(target: RecordTarget, options: Options): RecordOptions {
  const bufferMib = Number(options.buffer);
  if (!(bufferMib >= 1 && bufferMib <= 1024)) {
    throw new RmapError('usage', `--buffer ${options.buffer}: expected 1 to 1024 MiB`);
  }
  return {
    target,
    path: options.output ?? defaultPath(target),
    mayReplace: options.force === true,
    sets: options.deep === true ? DEEP_SETS : DEFAULT_SETS,
    limitMs: options.for === undefined ? undefined : parseDurationMs(options.for, '--for'),
    bufferKib: Math.round(bufferMib * 1024),
    snapshots: scheduleOf(options),
    snapshotAtFork: options.snapshotAtFork === true,
  };
}

function noteCleanUp(cli: Cli, { instances, cgroups, resumedPids }: CleanUpReport): void {
  if (instances.length + cgroups.length + resumedPids.length === 0) return;
  const resumed = resumedPids.length === 0 ? '' : `, resumed ${resumedPids.join(' ')}`;
  cli.note(
    `cleaned up after a killed recorder: ${instances.length} trace instances, ` +
      `${cgroups.length} cgroups${resumed}`,
  );
}

function snapshotLine({ name, processes, anonPages, pauseMs }: SnapshotReport): string {
  const pages = `${formatCount(anonPages)} anonymous pages in ${processes} processes`;
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

function printReport(cli: Cli, report: RecordReport): void {
  const perSecond = (report.events * 1000) / report.durationMs;
  const pausedMs = report.snapshots.reduce((sum, { pauseMs }) => sum + pauseMs, 0);
  const longestMs = report.snapshots.reduce((most, { pauseMs }) => Math.max(most, pauseMs), 0);
  const held =
    report.snapshots.length === 0
      ? 'no snapshot: the replay cannot be checked'
      : `${report.snapshots.length} snapshots held it ${formatDuration(pausedMs)} in all, ` +
        `${formatDuration(longestMs)} at most`;
  cli.print(
    `recorded  ${formatCount(report.events)} events in ${formatDuration(report.durationMs)} ` +
      `(${formatRate(perSecond)}), ${lossText(report)}; ${held}`,
  );
  cli.print(`overhead  ${overheadText(report)}`);
  const size = formatBytes(report.sizeBytes, cli.exactBytes);
  cli.print(`written   ${printable(report.path)}, ${size}; ended by: ${endText(report)}`);
  if (report.missingEvents.length > 0) {
    cli.note(`this kernel lacks ${report.missingEvents.join(', ')}`);
  }
  cli.next(`rmap explain ${printable(report.path)}`);
}

function endText({ stopReason, commandEnd }: RecordReport): string {
  if (commandEnd?.signal !== undefined) return `${stopReason} (${commandEnd.signal})`;
  if (commandEnd?.exitCode !== undefined) return `${stopReason} (exit ${commandEnd.exitCode})`;
  return stopReason;
}
