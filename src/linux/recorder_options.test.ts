import { expect, test } from 'vitest';
import { DEFAULT_SCHEDULE, nextSnapshotMs } from './recorder_options.js';
import { DEEP_SETS, DEFAULT_SETS, eventsOf } from './trace_events.js';

test('snapshots become rarer, but not rarer than every five minutes', () => {
  const times = [DEFAULT_SCHEDULE.firstMs];
  while (times.length < 9) times.push(nextSnapshotMs(DEFAULT_SCHEDULE, times.at(-1)!));
  expect(times).toEqual([250, 1000, 4000, 16_000, 64_000, 256_000, 556_000, 856_000, 1_156_000]);
});

test('a steady interval stays steady', () => {
  const steady = { firstMs: 100, factor: 1, longestMs: 100, mostPausedShare: 1 };
  expect(nextSnapshotMs(steady, 300)).toBe(400);
});

test('no event is in two sets, and only events that would flood are filtered', () => {
  const names = eventsOf(DEEP_SETS).map((event) => event.name);
  expect(new Set(names).size).toBe(names.length);
  expect(names).toContain('syscalls:sys_enter_mmap');
  const filtered = eventsOf(DEFAULT_SETS).filter((event) => event.filter !== undefined);
  expect(filtered.map((event) => event.name)).toEqual([
    'kmem:mm_page_alloc',
    'mmap_lock:mmap_lock_acquire_returned',
    'mmap_lock:mmap_lock_released',
  ]);
});
