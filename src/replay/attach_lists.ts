import type { SharedFrame } from './attach_pages.js';

/** Most processes outside of the recording that are made for one family. */
const MOST_OUTSIDE = 1024;

/** Appends to the list of a key. */
export function push(lists: Map<number, number[]>, key: number, value: number): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

/** Stand-ins that a family needs: each can hold one frame of an address. */
export function outsideCount(frames: readonly SharedFrame[]): number {
  const byPage = new Map<number, number>();
  let most = 0;
  for (const frame of frames) {
    const vpn = frame.pages[0]?.vpn ?? 0;
    const count = (byPage.get(vpn) ?? 0) + frame.outside;
    byPage.set(vpn, count);
    most = Math.max(most, count);
  }
  return Math.min(most, MOST_OUTSIDE);
}

/** Frames by address, ascending: the first of each, then the second of those that have two, … */
export function layersOf(frames: readonly SharedFrame[]): SharedFrame[][] {
  const layers: SharedFrame[][] = [];
  const depth = new Map<number, number>();
  const ordered = frames.toSorted((a, b) => (a.pages[0]?.vpn ?? 0) - (b.pages[0]?.vpn ?? 0));
  for (const frame of ordered) {
    const vpn = frame.pages[0]?.vpn ?? 0;
    const layer = depth.get(vpn) ?? 0;
    depth.set(vpn, layer + 1);
    const list = layers[layer];
    if (list === undefined) layers.push([frame]);
    else list.push(frame);
  }
  return layers;
}

/** Runs of consecutive pages of an ascending list. */
export function* rangesOf(vpns: readonly number[]): Generator<readonly [at: number, n: number]> {
  let first = 0;
  for (let i = 1; i <= vpns.length; i += 1) {
    if (i < vpns.length && vpns[i] === (vpns[i - 1] ?? 0) + 1) continue;
    if (i > first) yield [vpns[first] ?? 0, i - first];
    first = i;
  }
}

/** Whether an ascending list has a page in [start, end). */
export function hasPageIn(vpns: readonly number[], start: number, end: number): boolean {
  let low = 0;
  let high = vpns.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((vpns[middle] ?? 0) < start) low = middle + 1;
    else high = middle;
  }
  return low < vpns.length && (vpns[low] ?? 0) < end;
}
