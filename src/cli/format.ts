import { formatCount } from '../base/count_text.js';

export { formatCount } from '../base/count_text.js';

const BINARY_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;
const LAST_UNIT = BINARY_UNITS.length - 1;

/**
 * A size for people: `0 B`, `4.0 KiB`, `1.5 GiB`; three digits at most before the unit changes.
 * @param exact Prints all bytes with separators instead (`--bytes`).
 */
export function formatBytes(sizeBytes: number, exact = false): string {
  if (exact) return `${formatCount(sizeBytes)} B`;
  const sign = sizeBytes < 0 ? '-' : '';
  let value = Math.abs(sizeBytes);
  let unit = 0;
  // 1023.95 would print as 1024.0, so the unit changes a little earlier.
  while (value >= 1023.95 && unit < LAST_UNIT) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 ? formatCount(value) : value.toFixed(1);
  return `${sign}${digits} ${BINARY_UNITS[unit]}`;
}

/** A part of a whole: `12.5 %`; a dash when the whole is empty. */
export function formatPercent(part: number, whole: number): string {
  return whole === 0 ? '–' : `${((100 * part) / whole).toFixed(1)} %`;
}

/** An elapsed or remaining time: `850 ms`, `12.3 s`, `4 min 5 s`, `2 h 3 min`. */
export function formatDuration(elapsedMs: number): string {
  if (elapsedMs < 999.5) return `${Math.round(elapsedMs)} ms`;
  const seconds = elapsedMs / 1000;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** How many per second: `950/s`, `1.2 M/s`. Decimal, since it counts events and not bytes. */
export function formatRate(perSecond: number): string {
  if (perSecond < 999.5) return `${Math.round(perSecond)}/s`;
  if (perSecond < 999_950) return `${(perSecond / 1e3).toFixed(1)} k/s`;
  return `${(perSecond / 1e6).toFixed(1)} M/s`;
}
