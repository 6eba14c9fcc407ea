import { nextSnapshotMs } from './recorder_options.js';
import type { SnapshotSchedule } from './recorder_options.js';

/** Says when the next timed snapshot is due, so that pauses stay a small share of the time. */
export class SnapshotPace {
  readonly #schedule: SnapshotSchedule | undefined;
  #dueMs: number;
  #pausedMs = 0;
  #lastPauseMs = 0;

  constructor(schedule: SnapshotSchedule | undefined) {
    this.#schedule = schedule;
    this.#dueMs = schedule?.firstMs ?? Number.POSITIVE_INFINITY;
  }

  /** Learns how long a pause takes from the one that a recording cannot do without. */
  noteFirst(pauseMs: number): void {
    this.#lastPauseMs = pauseMs;
  }

  /** A snapshot held the processes, whoever asked for it. */
  note(pauseMs: number): void {
    this.#lastPauseMs = pauseMs;
    this.#pausedMs += pauseMs;
  }

  /**
   * Whether to take one now; `elapsedMs` since the start. One that would make the pauses too large
   * a share waits until it no longer does. Once true, false until the next is due.
   */
  isDue(elapsedMs: number): boolean {
    const schedule = this.#schedule;
    if (schedule === undefined || elapsedMs < this.#dueMs) return false;
    const pausedMs = this.#pausedMs + this.#lastPauseMs;
    if (pausedMs > schedule.mostPausedShare * elapsedMs) return false;
    while (this.#dueMs <= elapsedMs) this.#dueMs = nextSnapshotMs(schedule, this.#dueMs);
    return true;
  }
}
