import { basename } from 'node:path';
import { RmapError } from '../../base/errors.js';
import { recordFlags } from '../../linux/flag_recorder.js';
import { makeNative } from '../../linux/native_form.js';
import { record } from '../../linux/recorder.js';
import { DEFAULT_SCHEDULE } from '../../linux/recorder_options.js';
import type {
  RecordOptions,
  RecordReport,
  RecordTarget,
  SnapshotSchedule,
} from '../../linux/recorder_options.js';
import { DEEP_SETS, DEFAULT_SETS } from '../../linux/trace_events.js';
import { defineCommand } from '../command.js';
import type { Cli } from '../command.js';
import { counted } from '../counted.js';
import { EXIT_LOST_EVENTS, EXIT_OK } from '../exit_code.js';
import type { ExitCode } from '../exit_code.js';
import { parseDurationMs, parsePids } from '../parse_duration.js';
import { noteCleanUp, printFlagRecord, printRecord, snapshotLine } from '../record_text.js';

interface Options {
  readonly output?: string;
  readonly force?: boolean;
  readonly deep?: boolean;
  readonly for?: string;
  readonly pid?: readonly string[];
  readonly cgroup?: string;
  readonly snapshotEvery?: string;
  readonly snapshotAtFork?: boolean;
  readonly flagsOnly?: boolean;
  readonly buffer: string;
  readonly raw?: boolean;
}

const WAITING_NOTE = 'waiting for the command to end; ^C again leaves it to run';

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
      .option('--flags-only', 'without root: no events, only how much stays shared over time')
      .option('--buffer <MiB>', 'ring buffer of each CPU', '16')
      .option('--raw', 'leave the pages of the ring buffers as they are: no tables at the end')
      .addHelpText(
        'after',
        '\nSIGUSR1 takes a snapshot. ^C and SIGTERM end the recording and pass on to the command,' +
          '\nwhich has 5 s to end before it is left to run; a second ^C leaves it at once.',
      );
  },
  async run(cli, [words], options) {
    const target = targetOf(words, options);
    if (options.flagsOnly === true) return runFlagsOnly(cli, target, options);
    const recordOptions = recordOptionsOf(target, options);
    const progress = await cli.progress('recording');
    let report: RecordReport;
    try {
      report = await record(recordOptions, {
        cleanedUp: (cleaned) => noteCleanUp(cli, cleaned),
        started: (pids) => cli.note(`recording ${counted(pids.length, 'process')}; ^C ends it`),
        snapshotTaken: (snapshot) => cli.note(snapshotLine(snapshot)),
        snapshotLeftOut: (name, reason) => cli.note(`snapshot ${name} left out: ${reason}`),
        waitsForCommand: () => cli.note(WAITING_NOTE),
        progress: (events) => progress.update(events),
      });
    } finally {
      progress.stop();
    }
    const hasTables =
      options.raw !== true && report.writeFailure === undefined && !report.isCutShort;
    if (hasTables) report = await asTables(cli, report);
    if (cli.json) cli.printJson(report);
    else printRecord(cli, report);
    const isComplete = report.lostEvents === 0 && report.writeFailure === undefined;
    return isComplete ? EXIT_OK : EXIT_LOST_EVENTS;
  },
});

/** Turns the recording into tables that other programs read as well; if that fails it stays. */
async function asTables(cli: Cli, report: RecordReport): Promise<RecordReport> {
  const progress = await cli.progress('writing tables', report.events);
  try {
    const made = await makeNative(report.path, (events) => progress.update(events));
    if ('sizeBytes' in made) return { ...report, form: 'native', sizeBytes: made.sizeBytes };
    cli.note(`no tables written, the recording stays as raw pages: ${made.keptBecause}`);
    return report;
  } finally {
    progress.stop();
  }
}

async function runFlagsOnly(cli: Cli, target: RecordTarget, options: Options): Promise<ExitCode> {
  if (target.kind === 'cgroup') {
    throw new RmapError('usage', '--flags-only records a command or processes, not a cgroup');
  }
  const { path, mayReplace, limitMs, snapshots } = recordOptionsOf(target, options);
  if (snapshots === undefined) {
    throw new RmapError('usage', '--flags-only consists of snapshots: they cannot be left out');
  }
  const report = await recordFlags({ target, path, mayReplace, limitMs, snapshots }, () =>
    cli.note(WAITING_NOTE),
  );
  if (cli.json) cli.printJson(report);
  else printFlagRecord(cli, report);
  return report.writeFailure === undefined ? EXIT_OK : EXIT_LOST_EVENTS;
}

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
  return { firstMs, factor: 1, longestMs: firstMs, mostPausedShare: 1 };
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
