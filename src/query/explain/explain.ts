import { RmapError } from '../../base/errors.js';
import { PAGE_SIZE_BYTES } from '../../base/units.js';
import { replayFrom } from '../../replay/replay.js';
import { Snapshots } from '../../replay/snapshots.js';
import type { Recording } from '../../trace/recording.js';
import { replayReport } from '../replay_report.js';
import { adviceFor } from './advice.js';
import { causeReports } from './causes.js';
import { Collector } from './collector.js';
import { evaluate, type FailIf } from './fail_if.js';
import { fanOutReports } from './fan_out.js';
import { delayOf, summarise, writeDelays } from './summary.js';
import { FATE } from './fork_ledger.js';
import { SnapshotNames } from './images.js';
import { Modules, type ReadModule } from './modules.js';
import { baseName } from './regions.js';
import { regionReports } from './region_reports.js';
import type { ExplainReport, ForkReport, ProcessReport, Proof } from './report.js';
import { Writers, type Demangle } from './writers.js';

export interface ExplainOptions {
  /** Part of the recording to look at; default all of it. */
  readonly fromNs?: number;
  readonly toNs?: number;
  /** Budgets to evaluate. */
  readonly failIf?: readonly FailIf[];
  /** Reads program files for symbols; without it writers have offsets only. */
  readonly readModule?: ReadModule;
  /** Names functions as their source has them; without it as the linker knows them. */
  readonly demangle?: Demangle;
  /** Called now and then with the number of events read. */
  readonly onProgress?: (events: number) => void;
  /** Physical memory of the machine in pages; default 16 GiB. */
  readonly memoryPages?: number;
}

/**
 * Replays a recording and says which sharing was lost, to which writer, in which memory.
 * Errors are `RmapError('input')` from the recording, `RmapError('usage')` for an empty window.
 */
export async function explain(
  recording: Recording,
  options: ExplainOptions = {},
): Promise<ExplainReport> {
  const { fromNs = 0, toNs = Number.POSITIVE_INFINITY } = options;
  if (fromNs >= toNs) throw new RmapError('usage', '--from must be before --to');
  const snapshots = new Snapshots(recording);
  const layouts = [...(await snapshots.layouts()).values()];
  const names = new SnapshotNames(layouts);
  const modules = new Modules(layouts, options.readModule);
  const collector = new Collector(names, modules, { fromNs, toNs });
  const result = await replayFrom(recording, snapshots, {
    observers: [collector],
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
    ...(options.memoryPages === undefined ? {} : { memoryPages: options.memoryPages }),
  });
  if (fromNs > collector.durationNs) {
    const seconds = (collector.durationNs / 1e9).toFixed(3);
    throw new RmapError('usage', `--from lies behind the end of the recording (${seconds} s)`);
  }
  const replayed = replayReport(result);
  const timeline = collector.sampler.timeline();
  for (const curve of timeline.processes) {
    const space = collector.spaces[curve.process];
    if (space === undefined) continue;
    for (const bytes of curve.ussBytes) space.mostUssBytes = Math.max(space.mostUssBytes, bytes);
    space.mostUssBytes = Math.max(space.mostUssBytes, space.ussBytes);
  }
  const processes = processReports(collector);
  const regions = regionReports(collector);
  const demangle = options.demangle ?? ((name: string): string => name);
  const writers = new Writers(names, modules, demangle);
  const causes = causeReports(collector, writers, regions);
  const fanOut = fanOutReports(collector);
  const summary = summarise(collector, processes, recording.info.precision);
  return {
    schemaVersion: 1,
    recording: recording.info.name,
    precision: recording.info.precision,
    unknowns: recording.info.unknowns,
    events: result.events,
    lostEvents: result.lostEvents,
    durationNs: collector.durationNs,
    window: { fromNs, toNs: collector.lastNs },
    proof: proofOf(replayed.snapshots, replayed.exact),
    summary,
    processes,
    forks: forkReports(collector),
    causes,
    regions: regions.reports,
    fanOut,
    advice: adviceFor(collector, causes, fanOut, summary.copiedBytes),
    budgets: (options.failIf ?? []).map((failIf) =>
      evaluate(failIf, collector.forks, summary, collector.lastNs),
    ),
    timeline,
  };
}

function proofOf(snapshots: Proof['snapshots'], exact: boolean): Proof {
  const sum = (value: (snapshot: Proof['snapshots'][number]) => number): number =>
    snapshots.reduce((total, snapshot) => total + value(snapshot), 0);
  return {
    pagesAgree: sum((snapshot) => snapshot.agree),
    pages: sum((snapshot) => snapshot.anonymousPages),
    pagesExtra: sum((snapshot) => snapshot.extra),
    exact,
    snapshots,
  };
}

function processReports(collector: Collector): ProcessReport[] {
  return collector.spaces.map((space) => ({
    pid: space.pid,
    parent: space.parent,
    comm: space.comm === '' ? baseName(space.image.executable) : space.comm,
    executable: space.image.executable,
    startNs: space.startNs,
    endNs: space.endNs,
    end: space.end,
    copiedBytes: space.copiedPages * PAGE_SIZE_BYTES,
    rssBytes: space.rssBytes,
    pssBytes: space.pssBytes,
    ussBytes: space.ussBytes,
    mostUssBytes: space.mostUssBytes,
    zeroBytes: space.zeroPages * PAGE_SIZE_BYTES,
  }));
}

function forkReports(collector: Collector): ForkReport[] {
  return collector.forks.map((fork) => ({
    timeNs: fork.timeNs,
    parent: fork.parent,
    child: fork.child,
    sharedBytes: fork.born * PAGE_SIZE_BYTES,
    stillSharedBytes: (fork.counts[FATE.shared] ?? 0) * PAGE_SIZE_BYTES,
    ends: fork.ends,
    copiedEntries: fork.copiedEntries,
    hugeBytes: fork.hugePages * PAGE_SIZE_BYTES,
    halfNs: delayOf(writeDelays([fork]), 0.5),
    bornInWindow: fork.bornInWindow,
  }));
}
