/**
 * A number with thousands separators: `1,234,567`; rounded to a whole one.
 *
 * Not by `toLocaleString`, which loads the locale data: 30 ms of every command's start.
 */
export function formatCount(value: number): string {
  return value.toFixed(0).replace(/\B(?=(?:\d{3})+$)/g, ',');
}
