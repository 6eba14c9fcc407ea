import type { Machine } from '../kernel/machine.js';
import type { SharedFrame } from './attach_pages.js';
import { UNKNOWN_CONTENT } from './replay_machine.js';

/** Mappings outside of the recording that are made for one merged page. */
const MOST_OUTSIDE_PAGES = 4096;

/** Where mappings of processes outside of the recording are put. */
const OUTSIDE_START_PAGE = 2 ** 20;

/** Makes merged pages of mergeable VMAs: every mapping is written, then merged into the first. */
export function mergeKsmFrames(
  machine: Machine,
  frames: readonly SharedFrame[],
  pidOf: (member: number) => number,
  takeOutside: () => number,
): void {
  for (const frame of frames) {
    const places = frame.pages.map(({ member, vpn }) => ({ p: pidOf(member), at: vpn }));
    for (const { p, at } of places)
      machine.apply({ op: 'mem_write', p, at, n: 1, v: UNKNOWN_CONTENT });
    const outside = Math.min(frame.outside, MOST_OUTSIDE_PAGES);
    if (outside > 0) {
      const p = takeOutside();
      machine.apply({ op: 'fork', p: 0, c: p });
      const at = OUTSIDE_START_PAGE;
      const flags = 'private|anon|fixed';
      machine.apply({ op: 'mmap', p, at, n: outside, prot: 'rw', flags });
      machine.apply({ op: 'madvise', p, at, n: outside, advice: 'mergeable' });
      machine.apply({ op: 'mem_write', p, at, n: outside, v: UNKNOWN_CONTENT });
      for (let i = 0; i < outside; i += 1) places.push({ p, at: at + i });
    }
    const [first, ...others] = places;
    if (first === undefined) continue;
    for (const { p, at } of others) {
      machine.apply({ op: 'ksm_merge', p, at, q: first.p, to: first.at });
    }
  }
}
