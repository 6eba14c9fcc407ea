import { expect, test } from 'vitest';
import { findTracefs, parseRingStats } from './tracefs.js';

test('finds tracefs, at its standard place if it is there', () => {
  const debug = 'tracefs /sys/kernel/debug/tracing tracefs rw 0 0\n';
  const standard = 'nodev /sys/kernel/tracing tracefs rw,relatime 0 0\n';
  expect(findTracefs(`proc /proc proc rw 0 0\n${debug}${standard}`)).toBe('/sys/kernel/tracing');
  expect(findTracefs(debug)).toBe('/sys/kernel/debug/tracing');
  expect(findTracefs('proc /proc proc rw 0 0\n')).toBeUndefined();
});

test('reads what a ring buffer lost', () => {
  const text = [
    'entries: 0',
    'overrun: 25642',
    'commit overrun: 3',
    'bytes: 0',
    'oldest event ts: 53.1',
    'now ts: 54.2',
    'dropped events: 7',
    'read events: 201821',
  ].join('\n');
  expect(parseRingStats(text, 1)).toEqual({
    cpu: 1,
    readEvents: 201_821,
    overrunEvents: 25_642,
    droppedEvents: 7,
    commitOverrunEvents: 3,
  });
});
