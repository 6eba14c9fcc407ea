/** Numbers as sentences need them. Tables of the command line have their own, with `--bytes`. */
import { formatCount } from '../../base/count_text.js';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `4.0 KiB`, `1.5 GiB`. */
export function sizeWords(sizeBytes: number): string {
  let value = sizeBytes;
  let unit = 0;
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? String(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** `62 %`, `9.5 %`, `99.8 %`; nothing but all is 100 %. */
export function percentWords(part: number, whole: number): string {
  if (whole === 0 || part === 0) return '0 %';
  if (part === whole) return '100 %';
  const percent = (100 * part) / whole;
  if (percent < 0.05) return '< 0.1 %';
  if (percent > 99.95) return '> 99.9 %';
  return `${percent.toFixed(percent > 99.5 || percent < 10 ? 1 : 0)} %`;
}

/** `350 ms`, `2.41 s`. */
export function timeWords(ns: number): string {
  if (ns === 0) return '0 s';
  if (ns < 1e6) return `${Math.round(ns / 1e3)} µs`;
  if (ns < 1e9) return `${Math.round(ns / 1e6)} ms`;
  return ns < 120e9 ? `${(ns / 1e9).toFixed(2)} s` : `${(ns / 60e9).toFixed(1)} min`;
}

/** `1,234 pages`, `1 fork`. */
export function countWords(count: number, singular: string, plural = `${singular}s`): string {
  return `${formatCount(count)} ${count === 1 ? singular : plural}`;
}
