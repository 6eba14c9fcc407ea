/** Building blocks of pages: every text and attribute goes through `escapeHtml`. */

export function escapeHtml(text: string): string {
  return text
    .replace(CONTROLS, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** Control characters, and those that reorder or hide the text around them. */
const CONTROLS =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

type Attributes = Readonly<Record<string, string | number | undefined>>;

/** An element with attributes; `content` is markup. */
export function element(name: string, attributes: Attributes, content?: string): string {
  let text = `<${name}`;
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined) continue;
    text += ` ${key}="${typeof value === 'number' ? coordinate(value) : escapeHtml(value)}"`;
  }
  return content === undefined ? `${text}/>` : `${text}>${content}</${name}>`;
}

/** A number of SVG, to a tenth. */
export function coordinate(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** Path of a band between two curves over the same x. */
export function bandPath(
  xs: readonly number[],
  tops: readonly number[],
  bottoms: readonly number[],
): string {
  if (xs.length === 0) return '';
  const point = (x: number, y: number): string => `${coordinate(x)} ${coordinate(y)}`;
  const there = xs.map((x, i) => point(x, tops[i] ?? 0));
  const back = xs.map((x, i) => point(x, bottoms[i] ?? 0)).reverse();
  return `M${there.join('L')}L${back.join('L')}Z`;
}

export function linePath(xs: readonly number[], ys: readonly number[]): string {
  return `M${xs.map((x, i) => `${coordinate(x)} ${coordinate(ys[i] ?? 0)}`).join('L')}`;
}

/** A linear scale. */
export function scale(
  from: number,
  to: number,
  start: number,
  end: number,
): (value: number) => number {
  const factor = to === from ? 0 : (end - start) / (to - from);
  return (value) => start + (value - from) * factor;
}

/** Round values from 0 to `most`, about `count` of them, in steps of 1, 2 or 5 (times `unit`). */
export function ticks(from: number, to: number, count: number, unit = 1): number[] {
  const rough = (to - from) / unit / count;
  if (!(rough > 0)) return [from];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = unit * power * ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10);
  const values: number[] = [];
  for (let value = Math.ceil(from / step) * step; value <= to + step * 1e-9; value += step) {
    values.push(value);
  }
  return values;
}

/** Unit in which sizes up to `mostBytes` are labelled. */
export function sizeUnit(mostBytes: number): number {
  let unit = 1;
  while (mostBytes / unit >= 1024) unit *= 1024;
  return unit;
}

/** Seconds of an axis: `0`, `0.5`, `12 s`. */
export function secondsLabel(ns: number): string {
  return `${Number((ns / 1e9).toPrecision(6))} s`;
}
