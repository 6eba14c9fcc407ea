import { describe, expect, it } from 'vitest';
import { formatBytes, formatDuration, formatPercent, formatRate } from './format.js';
import { describe as describeProgress } from './progress.js';

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [1023, '1,023 B'],
    [1024, '1.0 KiB'],
    [4096 * 3, '12.0 KiB'],
    [1024 ** 2 - 1, '1.0 MiB'],
    [1.5 * 1024 ** 3, '1.5 GiB'],
    [-8192, '-8.0 KiB'],
    [2 ** 60, '1024.0 PiB'],
  ])('%d is %s', (sizeBytes, text) => {
    expect(formatBytes(sizeBytes)).toBe(text);
  });

  it('prints all digits on demand', () => {
    expect(formatBytes(1234567, true)).toBe('1,234,567 B');
  });
});

describe('formatDuration', () => {
  it.each([
    [0, '0 ms'],
    [999.4, '999 ms'],
    [999.6, '1.0 s'],
    [59_940, '59.9 s'],
    [59_960, '1 min 0 s'],
    [3_599_600, '1 h 0 min'],
    [7_380_000, '2 h 3 min'],
  ])('%d ms is %s', (elapsedMs, text) => {
    expect(formatDuration(elapsedMs)).toBe(text);
  });
});

describe('formatPercent and formatRate', () => {
  it('has no percentage of nothing', () => {
    expect(formatPercent(1, 8)).toBe('12.5 %');
    expect(formatPercent(0, 0)).toBe('–');
  });

  it('changes the unit where the digits would overflow', () => {
    expect([950, 999.6, 999_900, 999_960].map(formatRate)).toEqual([
      '950/s',
      '1.0 k/s',
      '999.9 k/s',
      '1.0 M/s',
    ]);
  });
});

describe('the progress line', () => {
  it('says count, rate and time left', () => {
    expect(describeProgress(2000, 5000, 1000)).toBe(': 2,000 of 5,000 events, 2.0 k/s, 1.5 s left');
  });

  it('does not divide by zero at the start or without a total', () => {
    expect(describeProgress(0, 10, 0)).toBe(': 0 of 10 events, 0/s');
    expect(describeProgress(10, undefined, 1000)).toBe(': 10 events, 10/s');
  });
});
