import { describe, expect, it } from 'vitest';
import { DEFAULT_SCHEDULE } from './recorder_options.js';
import { SnapshotPace } from './snapshot_pace.js';

/** Times of the snapshots that are taken if each holds the processes for `pauseMs`. */
function timesWith(pace: SnapshotPace, pauseMs: number, untilMs: number): number[] {
  const times: number[] = [];
  for (let elapsedMs = 0; elapsedMs < untilMs; elapsedMs += 10) {
    if (!pace.isDue(elapsedMs)) continue;
    times.push(elapsedMs);
    pace.note(pauseMs);
  }
  return times;
}

describe('timed snapshots', () => {
  it('keep to the schedule while they cost little', () => {
    const times = timesWith(new SnapshotPace(DEFAULT_SCHEDULE), 2, 20_000);
    expect(times).toEqual([250, 1000, 4000, 16_000]);
  });

  it('wait until all pauses together are 2 % of the time', () => {
    const pace = new SnapshotPace(DEFAULT_SCHEDULE);
    pace.noteFirst(100);
    const times = timesWith(pace, 100, 70_000);
    expect(times).toEqual([5000, 16_000, 64_000]);
    const large = new SnapshotPace(DEFAULT_SCHEDULE);
    large.noteFirst(2000);
    expect(timesWith(large, 2000, 300_000)).toEqual([100_000, 256_000]);
  });

  it('count the pauses that others asked for', () => {
    const pace = new SnapshotPace(DEFAULT_SCHEDULE);
    pace.note(50);
    pace.note(10);
    expect(timesWith(pace, 10, 15_000)).toEqual([3500, 4000]);
  });

  it('come as often as the user said', () => {
    const steady = { firstMs: 100, factor: 1, longestMs: 100, mostPausedShare: 1 };
    expect(timesWith(new SnapshotPace(steady), 50, 450)).toEqual([100, 200, 300, 400]);
    expect(timesWith(new SnapshotPace(undefined), 1, 10_000)).toEqual([]);
  });
});
