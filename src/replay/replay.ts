import { RmapError } from '../base/errors.js';
import { EVENT, snapshotMark, type EventBatch } from '../trace/event.js';
import type { Recording } from '../trace/recording.js';
import type { SnapshotComparison } from './compare.js';
import { ReplayDriver, replayMachine } from './driver.js';
import type { Findings } from './findings.js';
import { Lineariser } from './linearise.js';
import type { ReplayObserver } from './observer.js';
import { Snapshots } from './snapshots.js';

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
/**
 * Events that are put in order before their steps are applied: both loops then find what they need
 * in the cache. Steps of a block take 20 KiB.
 */
const BLOCK_EVENTS = 256;

/**
 * Drives a machine through a recording: its system calls, faults, forks and exits, in the order in
 * which they took effect, and compares at every snapshot.
 */
export async function replay(
  recording: Recording,
  options: ReplayOptions = {},
): Promise<ReplayResult> {
  return replayFrom(recording, new Snapshots(recording), options);
}

/** A name that no snapshot has would compare nothing, and find nothing wrong. */
function checkSnapshot({ path, info }: Recording, name: string | undefined): void {
  const names = info.snapshots.map((snapshot) => snapshot.name);
  if (name === undefined || names.includes(name)) return;
  const known = names.length === 0 ? 'it has none' : `it has ${names.join(' ')}`;
  throw new RmapError('usage', `${path}: no snapshot ${JSON.stringify(name)}; ${known}`);
}

/** The same for whoever has looked at the snapshots before. */
export async function replayFrom(
  recording: Recording,
  snapshots: Snapshots,
  options: ReplayOptions,
): Promise<ReplayResult> {
  const started = performance.now();
  for (const name of [options.from, options.until]) checkSnapshot(recording, name);
  // All is asked for at once, in the order in which it is needed; a reader in another thread works
  // while the machine is made.
  const asked = snapshots.layouts();
  asked.catch(() => {});
  const batches = recording.events();
  let driver: ReplayDriver;
  let events = 0;
  try {
    const first = batches.next();
    first.catch(() => {});
    snapshots.readAhead();
    const machine = replayMachine(recording, options.memoryPages ?? MOST_MEMORY_PAGES);
    driver = new ReplayDriver(recording, machine, await asked, options.observers ?? []);
    const lineariser = new Lineariser(recording.strings);
    const run = new Run({ recording, snapshots, lineariser, driver }, options);
    for (let next = await first; next.done !== true; next = await batches.next()) {
      const batch = next.value;
      await run.take(batch);
      events = batch.firstIndex + batch.length;
      options.onProgress?.(events);
      if (run.isDone) break;
    }
    if (!run.isDone) {
      lineariser.finish();
      run.drain();
    }
  } finally {
    await batches.return?.();
    // A damaged one is told of first, whatever else was wrong.
    await snapshots.readAll();
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

/** The place of an event that makes no sense belongs into the message. */
function atEvent(error: unknown, recording: Recording, eventIndex: number): unknown {
  if (!(error instanceof RmapError) || error.code !== 'input') return error;
  const message = `${recording.positionOf(eventIndex)}: ${error.message}`;
  return new RmapError('input', message, { cause: error });
}

interface RunParts {
  readonly recording: Recording;
  readonly snapshots: Snapshots;
  readonly lineariser: Lineariser;
  readonly driver: ReplayDriver;
}

/** Applies what is ready, up to the last snapshot that is wanted. */
class Run {
  isDone = false;
  private readonly recording: Recording;
  private readonly snapshots: Snapshots;
  private readonly lineariser: Lineariser;
  private readonly driver: ReplayDriver;
  private readonly until: string | undefined;
  private skipUntil: string | undefined;

  constructor({ recording, snapshots, lineariser, driver }: RunParts, options: ReplayOptions) {
    this.recording = recording;
    this.snapshots = snapshots;
    this.lineariser = lineariser;
    this.driver = driver;
    this.until = options.until;
    this.skipUntil = options.from;
  }

  /** Takes in the events of a batch, as far as they are wanted. */
  async take(batch: EventBatch): Promise<void> {
    for (let from = 0; from < batch.length;) {
      if (batch.kind[from] === EVENT.mark) await this.awaitSnapshot(batch.text[from] ?? -1);
      const mark = batch.kind.indexOf(EVENT.mark, from + 1);
      const end = mark === -1 ? batch.length : mark;
      if (!this.takeRows(batch, from, end)) return;
      from = end;
    }
  }

  /** A snapshot is there before the event that marks it is taken in. */
  private async awaitSnapshot(text: number): Promise<void> {
    const mark = snapshotMark(this.recording.strings.text(text));
    if (mark === undefined || mark.ends) return;
    if (this.snapshots.find(mark.name) === undefined) await this.snapshots.read(mark.name);
  }

  /** Returns whether more events are wanted. */
  private takeRows(batch: EventBatch, from: number, end: number): boolean {
    const { lineariser } = this;
    for (let row = from; row < end;) {
      row = lineariser.pushRows(batch, row, Math.min(row + BLOCK_EVENTS, end));
      if (!this.drain()) return false;
    }
    return true;
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
      const snapshot = this.snapshots.find(reached);
      if (snapshot !== undefined) driver.reachSnapshot(snapshot);
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
