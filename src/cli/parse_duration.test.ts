import { expect, test } from 'vitest';
import { parseDurationMs, parsePids } from './parse_duration.js';

test.each([
  ['500ms', 500],
  ['60s', 60_000],
  ['60', 60_000],
  ['1.5min', 90_000],
  ['2h', 7_200_000],
])('%s', (text, expectedMs) => {
  expect(parseDurationMs(text, '--for')).toBe(expectedMs);
});

test.each(['', 's', '0s', '-1s', '1d', '1 s', '1e3', 'NaN'])('%j is no time', (text) => {
  expect(() => parseDurationMs(text, '--for')).toThrow(`--for ${JSON.stringify(text)}: expected`);
});

test('process ids may be separated by blanks or commas', () => {
  expect(parsePids(['1,2', '3'])).toEqual([1, 2, 3]);
});

test.each(['', '1,', '0', '-4', '1.5', '0x10', '9999999999'])('%j is no process id', (text) => {
  expect(() => parsePids([text])).toThrow('is no process id');
});
