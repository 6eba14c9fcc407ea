import { expect, test } from 'vitest';
import type { Cgroup } from './cgroup.js';
import { freezerPause, stopPause } from './pause.js';
import { waitUntil } from './wait.js';

test('what else is to be done is done between the questions', () => {
  let asked = 0;
  let done = 0;
  expect(
    waitUntil(
      () => (asked += 1) === 4,
      1000,
      () => void (done += 1),
    ),
  ).toBe(true);
  expect([asked, done]).toEqual([4, 3]);
  expect(
    waitUntil(
      () => false,
      5,
      () => void (done += 1),
    ),
  ).toBe(false);
  expect(done).toBeGreaterThan(3);
});

test('a pause goes on with it while processes are being held', () => {
  const work = (): void => undefined;
  const given: unknown[] = [];
  const group = { freeze: (meanwhile: unknown) => given.push(meanwhile), pids: () => [7] };
  expect(freezerPause(group as unknown as Cgroup).hold(work)).toEqual([7]);
  expect(given).toEqual([work]);
  expect(stopPause(() => []).hold(work)).toEqual([]);
});
