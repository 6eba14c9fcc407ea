import { RmapError } from '../base/errors.js';
import { gzip } from 'node:zlib';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { CleanUpReport } from './clean_up.js';
import { stopCommand } from './command_end.js';
import { openGuardedSession } from './guarded_session.js';
import { isHugeEverywhere, readHostSettings } from './host.js';
import { manifestText } from './manifest.js';
import { listTids } from './processes.js';
import { PagemapBuffer } from './pagemap_file.js';
import { RecordingDirectory, isOutOfRoom } from './recording_directory.js';
import type {
  RecordOptions,
  RecordReport,
  SnapshotReport,
  StopReason,
} from './recorder_options.js';
import { checkTarget, controlTarget } from './recording_target.js';
import type { TargetControl } from './recording_target.js';
import { RingDrain } from './ring_pages.js';
import { SnapshotPace } from './snapshot_pace.js';
import { FrameFiles, readFrozen } from './snapshot_reader.js';
import type { FrozenPicture } from './snapshot_reader.js';
import { encodeSnapshot } from './snapshot_lines.js';
import type { SnapshotTotals } from './snapshot_lines.js';
import type { CommandEnd } from './start_stub.js';
import { JOIN_SNAPSHOT } from '../trace/event.js';
import { openTracefs } from './tracefs.js';
import { Wishes, listenForSignals } from './wishes.js';
import { TraceSession } from './trace_session.js';

const gzipAsync = promisify(gzip);

/** Time between looks at the ring buffers when much was found, and when little was. */
const BUSY_POLL_MS = 20;
const IDLE_POLL_MS = 100;
const BUSY_BYTES = 64 << 10;
const PROGRESS_MS = 500;
/** Encoding a snapshot lets the ring buffers wait no longer than this. */
const ENCODE_SLICE_MS = 15;
/** As long as the gain lasts: later rounds take a fifth of the first. */
const WARM_UP_MS = 150;
const LEAST_WARM_UPS = 2;

/** Told what happens; for progress and notes. */
export interface RecordListener {
  started(pids: readonly number[]): void;
  cleanedUp(report: CleanUpReport): void;
  snapshotTaken(snapshot: SnapshotReport): void;
  /** A process could not be held; the recording goes on. */
  snapshotLeftOut(name: string, reason: string): void;
  /** The recording is over; the command has not ended yet. */
  waitsForCommand(): void;
  /** Events read so far; about twice a second. */
  progress(events: number): void;
}

/** What else is done while the processes are held. */
interface SnapshotSteps {
  /** The processes to read; all that are held if `undefined`. */
  readonly only?: ReadonlySet<number>;
  /** Before the mark in the stream, … */
  readonly before?: () => void;
  /** … and after the one at its end. */
  readonly after?: () => void;
}

/** One recording from its first to its last event. */
class Recording {
  readonly #options: RecordOptions;
  readonly #listener: RecordListener;
  readonly #wishes: Wishes;
  readonly #directory: RecordingDirectory;
  readonly #session: TraceSession;
  readonly #target: TargetControl;
  readonly #drain: RingDrain;
  readonly #buffer = new PagemapBuffer();
  readonly #settings = readHostSettings();
  readonly #frameFiles = new FrameFiles(isHugeEverywhere(this.#settings));
  readonly #startMs = performance.now();
  readonly #startCpu = process.cpuUsage();
  #snapshotsLeftOut = 0;
  readonly #snapshots: { readonly report: SnapshotReport; readonly totals: SnapshotTotals }[] = [];
  readonly #cpus: readonly number[];
  #progressMs = performance.now();
  #knownPids = new Set<number>();
  readonly #pace: SnapshotPace;
  #commandEnd: CommandEnd | undefined;
  readonly #counters = new Map<string, number>();

  constructor(
    options: RecordOptions,
    listener: RecordListener,
    wishes: Wishes,
    directory: RecordingDirectory,
    session: TraceSession,
    target: TargetControl,
  ) {
    this.#options = options;
    this.#listener = listener;
    this.#wishes = wishes;
    this.#directory = directory;
    this.#session = session;
    this.#target = target;
    this.#drain = new RingDrain(session.instance, directory);
    this.#cpus = session.instance.cpus();
    this.#pace = new SnapshotPace(options.snapshots);
  }

  async run(): Promise<RecordReport> {
    try {
      await this.#begin();
      const stopReason = await this.#loop();
      return await this.#end(stopReason);
    } finally {
      this.#frameFiles.close();
      this.#drain.close();
    }
  }

  async #begin(): Promise<void> {
    const { target } = this.#options;
    this.#writeFormats();
    await this.#writeManifest(undefined);
    if (target.kind === 'command') {
      this.#session.follow(this.#target.firstTids());
      this.#session.start();
      this.#target.go();
    } else {
      // Following takes tens of ms, so it is done before the pause. Nobody may run between the
      // first event and the snapshot that the replay starts from.
      this.#session.follow(this.#target.firstTids());
      await this.#snapshot('start', {
        before: () => {
          this.#session.followMissing(this.#target.firstTids());
          this.#session.start();
        },
      });
    }
    void this.#target.ended.then((end) => {
      this.#commandEnd = end;
      this.#wishes.add({ stop: 'command ended' });
    });
    this.#knownPids = new Set(this.#target.pids());
    this.#listener.started([...this.#knownPids]);
  }

  async #loop(): Promise<StopReason> {
    for (;;) {
      const waitingBytes = this.#drain.drain();
      this.#reportProgress();
      const stop = await this.#step();
      if (stop !== undefined) return stop;
      const isBusy = waitingBytes > BUSY_BYTES || this.#options.snapshotAtFork;
      await this.#wishes.wait(isBusy ? BUSY_POLL_MS : IDLE_POLL_MS);
    }
  }

  #reportProgress(): void {
    const now = performance.now();
    if (now - this.#progressMs < PROGRESS_MS) return;
    this.#progressMs = now;
    this.#listener.progress(this.#ringTotals().events);
  }

  #ringTotals(): { readonly events: number; readonly lostEvents: number } {
    let events = 0;
    let lostEvents = 0;
    for (const cpu of this.#cpus) {
      const ring = this.#session.instance.stats(cpu);
      events += ring.readEvents;
      lostEvents += ring.overrunEvents + ring.droppedEvents + ring.commitOverrunEvents;
    }
    return { events, lostEvents };
  }

  /** One look at what is to be done; a reason if the recording is over. */
  async #step(): Promise<StopReason | undefined> {
    const { limitMs, target } = this.#options;
    const { failure } = this.#directory;
    if (failure !== undefined) return isOutOfRoom(failure.code) ? 'disk full' : 'write failed';
    const wish = this.#wishes.take();
    if (wish === 'snapshot') await this.#snapshot(this.#nextName('signal'));
    else if (wish !== undefined) return wish.stop;
    const elapsedMs = performance.now() - this.#startMs;
    if (limitMs !== undefined && elapsedMs >= limitMs) return 'time limit';
    const pids = this.#target.pids();
    if (pids.length === 0 && target.kind !== 'command') return 'processes ended';
    const fresh = pids.filter((pid) => !this.#knownPids.has(pid));
    this.#knownPids = new Set(pids);
    if (target.kind === 'cgroup') await this.#takeInStrangers(fresh);
    if (this.#options.snapshotAtFork && fresh.length > 0) {
      await this.#snapshot(this.#nextName('fork'));
    } else if (this.#pace.isDue(elapsedMs)) {
      await this.#snapshot(this.#nextName('t'));
    }
    return undefined;
  }

  /**
   * Processes can join a cgroup without being forked by one that is followed. The replay knows of
   * them only what a snapshot says, so they are followed from one on.
   */
  async #takeInStrangers(fresh: readonly number[]): Promise<void> {
    const followed = new Set(this.#session.followedPids());
    const strangers = new Set(fresh.filter((pid) => !followed.has(pid)));
    if (strangers.size === 0) return;
    const isTaken = await this.#snapshot(this.#nextName(JOIN_SNAPSHOT), {
      only: strangers,
      before: () => this.#session.followMissing([...strangers].flatMap(listTids)),
    });
    // They are strangers at the next look too.
    if (!isTaken) for (const pid of strangers) this.#knownPids.delete(pid);
  }

  async #end(stopReason: StopReason): Promise<RecordReport> {
    const targetCpuMs = this.#target.cpuTimeMs();
    const durationMs = performance.now() - this.#startMs;
    if (this.#directory.failure === undefined && this.#target.pids().length > 0) {
      await this.#snapshot('end', { after: () => this.#session.stop() });
    }
    this.#session.stop();
    const { command } = this.#target;
    const stopping =
      command === undefined || stopReason === 'command ended'
        ? undefined
        : stopCommand(command, stopReason, this.#wishes, () => this.#listener.waitsForCommand());
    await this.#drain.finish();
    const { events, lostEvents } = this.#ringTotals();
    const cpu = process.cpuUsage(this.#startCpu);
    let report: Omit<RecordReport, 'sizeBytes'> = {
      schemaVersion: 1,
      path: this.#directory.path,
      form: 'raw',
      stopReason,
      durationMs,
      events,
      lostEvents,
      rawBytes: this.#drain.rawBytes - this.#directory.droppedBytes,
      unwrittenBytes: this.#directory.droppedBytes,
      writeFailure: this.#directory.describeFailure(),
      mostWaitingBytes: this.#drain.mostWaitingBytes,
      bufferBytes: this.#options.bufferKib * 1024 * this.#cpus.length,
      snapshots: this.#snapshots.map((snapshot) => snapshot.report),
      snapshotsLeftOut: this.#snapshotsLeftOut,
      recorderCpuMs: (cpu.user + cpu.system) / 1000,
      targetCpuMs,
      missingEvents: this.#session.missingEvents,
      commandEnd: endOf(this.#commandEnd),
      runningCommandPid: undefined,
      isCutShort: false,
    };
    // Before the command has ended: whatever becomes of that, the recording is complete.
    await this.#writeManifest(report);
    if (stopping !== undefined) {
      report = { ...report, ...(await stopping), commandEnd: endOf(this.#commandEnd) };
      await this.#writeManifest(report);
    }
    return { ...report, sizeBytes: this.#directory.close() };
  }

  #nextName(kind: string): string {
    const number = (this.#counters.get(kind) ?? 0) + 1;
    this.#counters.set(kind, number);
    return `${kind}${number}`;
  }

  /**
   * Holds the processes, marks the stream, reads their memory, lets them go, then writes. Returns
   * whether they could be held: a process that vfork keeps waiting cannot be stopped. Without the
   * first snapshot there is nothing to start from, so that is an error then.
   */
  async #snapshot(name: string, { only, before, after }: SnapshotSteps = {}): Promise<boolean> {
    const heldMs = performance.now();
    const { pause } = this.#target;
    let picture: FrozenPicture;
    let held: readonly number[];
    try {
      // Those that still run fill the ring buffers.
      held = pause.hold(() => this.#drain.drain());
    } catch (error) {
      const isStuck = error instanceof RmapError && error.code === 'environment';
      if (!isStuck || name === 'start') throw error;
      this.#snapshotsLeftOut += 1;
      this.#pace.note(performance.now() - heldMs);
      this.#listener.snapshotLeftOut(name, error.message);
      return false;
    }
    const pids = only === undefined ? held : held.filter((pid) => only.has(pid));
    try {
      before?.();
      this.#session.mark(`SNAP ${name}`);
      picture = readFrozen(name, pids, this.#buffer, this.#frameFiles);
      this.#session.mark(`SNAPEND ${name}`);
      after?.();
    } finally {
      pause.release();
    }
    const pauseMs = performance.now() - heldMs;
    if (name === 'start') this.#pace.noteFirst(pauseMs);
    else this.#pace.note(pauseMs);
    const totals = await this.#writeSnapshot(picture);
    if (totals === undefined) return true;
    const report: SnapshotReport = {
      name,
      processes: totals.pids,
      anonPages: totals.anon_ptes,
      pauseMs,
      how: pause.how,
    };
    this.#snapshots.push({ report, totals });
    this.#listener.snapshotTaken(report);
    return true;
  }

  async #writeSnapshot(picture: FrozenPicture): Promise<SnapshotTotals | undefined> {
    const encoding = encodeSnapshot(picture);
    let drainedMs = performance.now();
    let step = encoding.next();
    for (; step.done !== true; step = encoding.next()) {
      if (performance.now() - drainedMs < ENCODE_SLICE_MS) continue;
      this.#drain.drain();
      drainedMs = performance.now();
    }
    const bytes = await gzipAsync(Buffer.concat(step.value.pieces), { level: 1 });
    const writing = this.#directory.writeFile(`snap-${picture.name}.jsonl.gz`, bytes);
    const late = Symbol('late');
    while ((await Promise.race([writing, setTimeout(BUSY_POLL_MS, late)])) === late) {
      this.#drain.drain();
    }
    return (await writing) ? step.value.totals : undefined;
  }

  #writeFormats(): void {
    const { kernel, thp } = this.#settings;
    const headerPage = this.#session.instance.read('events/header_page');
    const formats = {
      formats: this.#session.formats,
      header_page: headerPage,
      kernel,
      thp: thp['enabled'] ?? '',
    };
    this.#directory.createStream('formats.json.gz');
    void this.#directory.append('formats.json.gz', Buffer.from(JSON.stringify(formats)));
  }

  async #writeManifest(report: Omit<RecordReport, 'sizeBytes'> | undefined): Promise<void> {
    await this.#directory.writeManifest(
      manifestText({
        options: this.#options,
        description: this.#target.description,
        settings: this.#settings,
        cpuCount: this.#drain.cpuCount,
        firstTimeNs: this.#drain.firstTimeNs,
        report,
        totals: this.#snapshots.map((snapshot) => snapshot.totals),
      }),
    );
  }
}

function endOf(end: CommandEnd | undefined): RecordReport['commandEnd'] {
  if (end === undefined) return undefined;
  return {
    ...(end.exitCode === undefined ? {} : { exitCode: end.exitCode }),
    ...(end.signal === undefined ? {} : { signal: end.signal }),
  };
}

/**
 * Takes pictures of this process for nothing: the first real pause is then as short as others,
 * because what it runs is compiled by then.
 */
function warmUp(): void {
  const files = new FrameFiles(false);
  const endMs = performance.now() + WARM_UP_MS;
  for (let round = 0; round < LEAST_WARM_UPS || performance.now() < endMs; round++) {
    const picture = readFrozen('', [process.pid], new PagemapBuffer(), files);
    const encoding = encodeSnapshot(picture);
    while (encoding.next().done !== true);
  }
  files.close();
}

/**
 * Records a command, processes or a cgroup until it ends, the time is up, or SIGINT or SIGTERM
 * comes; SIGUSR1 takes a snapshot. The recording is complete and readable however it ended. Needs
 * root; throws `RmapError('environment')` where the kernel refuses. Leaves no trace instance, no
 * cgroup and no stopped process behind, even if this process is killed.
 */
export async function record(
  options: RecordOptions,
  listener: RecordListener,
): Promise<RecordReport> {
  RecordingDirectory.check(options.path, options.mayReplace);
  checkTarget(options.target);
  const tracefs = openTracefs();
  const wishes = new Wishes();
  const stopListening = listenForSignals(wishes);
  const guarded = openGuardedSession();
  let session: TraceSession | undefined;
  let target: TargetControl | undefined;
  let directory: RecordingDirectory | undefined;
  try {
    listener.cleanedUp(guarded.cleanedUp);
    warmUp();
    const { sets, bufferKib } = options;
    const opened = TraceSession.create(tracefs, guarded.journal, sets, bufferKib);
    session = opened;
    directory = RecordingDirectory.create(options.path, options.mayReplace);
    target = controlTarget(options.target, guarded.journal, () => opened.followedPids());
    opened.arm();
    return await new Recording(options, listener, wishes, directory, opened, target).run();
  } catch (error) {
    directory?.discard();
    throw error;
  } finally {
    stopListening();
    undoAll([() => target?.release(), () => session?.instance.remove(), () => guarded.close()]);
  }
}

/** Runs all steps, also after one failed; throws the first failure at the end. */
function undoAll(steps: readonly (() => void)[]): void {
  const failures: unknown[] = [];
  for (const step of steps) {
    try {
      step();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
