import { RmapError } from '../base/errors.js';
import type { EventBatch } from '../trace/event.js';
import type { Recording } from '../trace/recording.js';
import type { Snapshot } from '../trace/snapshot.js';
import type { SnapshotComparison } from './compare.js';
import { ReplayDriver, replayMachine } from './driver.js';
import type { Findings } from './findings.js';
import { Lineariser } from './linearise.js';
import type { ReplayObserver } from './observer.js';

export interface ReplayOptions {
  /** Stop after this snapshot. */
  readonly until?: string;
  /** Start from this snapshot instead of the first event. */
  readonly from?: string;
  readonly observers?: readonly ReplayObserver[];
  /** Called now and then with the number of events read. */
  readonly onProgress?: (events: number) => void;
  /** Physical memory of the machine in pages; at most; default 64 GiB. */
  readonly memoryPages?: number;
}

/** What a replay found. */
export interface ReplayResult {
  readonly recording: Recording;
  readonly driver: ReplayDriver;
  readonly events: number;
  readonly elapsedMs: number;
  /** Events that the recorder lost: their number, −1 if nobody counted. */
  readonly lostEvents: number;
  readonly snapshots: readonly SnapshotComparison[];
  readonly findings: Findings;
}

const MOST_MEMORY_PAGES = 2 ** 24;
/** 256 GiB in page-table entries: a larger number is damage. */
const MOST_SNAPSHOT_PAGES = 2 ** 26;

/**
 * Drives a machine through a recording: its system calls, faults, forks and exits, in the order in
 * which they took effect, and compares at every snapshot.
 */
export async function replay(
  recording: Recording,
  options: ReplayOptions = {},
): Promise<ReplayResult> {
  const started = performance.now();
  const snapshots = new Map<string, Snapshot>();
  for (const info of recording.info.snapshots) {
    const snapshot = await recording.snapshot(info.name);
    checkSize(recording, snapshot);
    snapshots.set(info.name, snapshot);
  }
  const machine = replayMachine(recording, options.memoryPages ?? MOST_MEMORY_PAGES);
  const lineariser = new Lineariser(recording.strings);
  const driver = new ReplayDriver(recording, machine, snapshots, options.observers ?? []);
  const run = new Run(recording, lineariser, driver, options);
  let events = 0;
  for await (const batch of recording.events()) {
    run.take(batch);
    events = batch.firstIndex + batch.length;
    options.onProgress?.(events);
    if (run.isDone) break;
  }
  if (!run.isDone) {
    lineariser.finish();
    run.drain();
  }
  driver.end();
  return {
    recording,
    driver,
    events,
    elapsedMs: performance.now() - started,
    lostEvents: recording.info.lostEvents,
    snapshots: driver.comparisons,
    findings: driver.findings,
  };
}

function checkSize(recording: Recording, snapshot: Snapshot): void {
  const pages = snapshot.anonPages + snapshot.swapPages + snapshot.zeroPages;
  if (pages <= MOST_SNAPSHOT_PAGES) return;
  throw new RmapError(
    'input',
    `${recording.path}: snapshot "${snapshot.name}" lists ${pages} anonymous pages, ` +
      `more than ${MOST_SNAPSHOT_PAGES}`,
  );
}

/** The place of an event that makes no sense belongs into the message. */
function atEvent(error: unknown, recording: Recording, eventIndex: number): unknown {
  if (!(error instanceof RmapError) || error.code !== 'input') return error;
  const message = `${recording.positionOf(eventIndex)}: ${error.message}`;
  return new RmapError('input', message, { cause: error });
}

/** Applies what is ready, up to the last snapshot that is wanted. */
class Run {
  isDone = false;
  private readonly recording: Recording;
  private readonly lineariser: Lineariser;
  private readonly driver: ReplayDriver;
  private readonly until: string | undefined;
  private skipUntil: string | undefined;

  constructor(
    recording: Recording,
    lineariser: Lineariser,
    driver: ReplayDriver,
    options: ReplayOptions,
  ) {
    this.recording = recording;
    this.lineariser = lineariser;
    this.driver = driver;
    this.until = options.until;
    this.skipUntil = options.from;
  }

  /** Takes in the events of a batch, as far as they are wanted. */
  take(batch: EventBatch): void {
    for (let row = 0; row < batch.length; row += 1) {
      this.lineariser.push(batch, row);
      if (!this.drain()) return;
    }
  }

  /** Returns whether more events are wanted. */
  drain(): boolean {
    const { lineariser, driver } = this;
    for (let slot = lineariser.peek(); slot !== -1; slot = lineariser.peek()) {
      const reached = this.apply(slot);
      lineariser.pop();
      if (reached === undefined) continue;
      if (this.skipUntil !== undefined) {
        if (reached !== this.skipUntil) continue;
        this.skipUntil = undefined;
      }
      driver.reachSnapshot(reached);
      if (reached === this.until) {
        this.isDone = true;
        return false;
      }
    }
    return !this.isDone;
  }

  private apply(slot: number): string | undefined {
    const { driver, lineariser } = this;
    if (this.skipUntil !== undefined) return driver.markName(lineariser.queue, slot);
    try {
      return driver.apply(lineariser.queue, slot);
    } catch (error) {
      throw atEvent(error, this.recording, lineariser.queue.eventIndex[slot] ?? 0);
    }
  }
}
