/** The two mm-id slots of large folios (spec 90 A2). */
import type { Kernel } from '../kernel.js';
import { PG_HUGETLB, PG_ZERO } from '../phys/page_flags.js';
import type { Census } from './census.js';
import type { Invariant } from './invariant.js';

interface Slots {
  readonly head: number;
  readonly row: number;
  readonly ids: readonly [number, number];
  readonly mapcounts: readonly [number, number];
  readonly isShared: boolean;
  readonly total: number;
}

/** Slots of all large folios that have them. */
function allSlots(kernel: Kernel): Slots[] {
  const { large, memory } = kernel;
  const all: Slots[] = [];
  if (kernel.profile.mmIds === 'none') return all;
  for (let row = 0; row < large.rowLimit; row += 1) {
    const head = large.head[row];
    if (head < 0 || (memory.flags[head] & (PG_HUGETLB | PG_ZERO)) !== 0) continue;
    all.push({
      head,
      row,
      ids: [large.mmId0[row], large.mmId1[row]],
      mapcounts: [large.mmIdMapcount0[row], large.mmIdMapcount1[row]],
      isShared: large.shared[row] !== 0,
      total: large.largeMapcount[row],
    });
  }
  return all;
}

function claim(
  id: string,
  text: string,
  problem: (slots: Slots, kernel: Kernel, census: Census) => string | undefined,
): Invariant {
  return {
    id,
    claim: text,
    check(kernel, census) {
      const wrong: string[] = [];
      for (const slots of allSlots(kernel)) {
        const found = problem(slots, kernel, census);
        if (found !== undefined) wrong.push(`folio ${slots.head}: ${found}`);
      }
      return wrong;
    },
  };
}

export const MM_ID_CLAIMS: readonly Invariant[] = [
  claim(
    'mm-ids.free-slots',
    'a slot is free iff its id and mapcount are 0; ids differ [11]',
    (s) => {
      for (const i of [0, 1] as const) {
        if ((s.ids[i] === 0) !== (s.mapcounts[i] === 0)) {
          return `slot ${i} has id ${s.ids[i]} and mapcount ${s.mapcounts[i]}`;
        }
      }
      return s.ids[0] !== 0 && s.ids[0] === s.ids[1] ? 'both slots hold the same id' : undefined;
    },
  ),
  claim(
    'mm-ids.slot-mapcount',
    "a slot's mapcount is at least 1 and at most the entries of that mm [12]",
    (s, kernel, census) => {
      for (const i of [0, 1] as const) {
        if (s.ids[i] === 0) continue;
        const mm = [...kernel.mms].find((other) => other.mmId === s.ids[i]);
        const actual = mm === undefined ? 0 : (census.largeByMm.get(s.head)?.get(mm) ?? 0);
        if (s.mapcounts[i] > actual || s.mapcounts[i] < 1) {
          return `slot ${i} counts ${s.mapcounts[i]} mappings, the mm has ${actual}`;
        }
      }
      return undefined;
    },
  ),
  claim(
    'mm-ids.no-false-exclusive',
    'a folio that two mms map is marked maybe shared [13]',
    (s, _kernel, census) => {
      const mms = census.largeByMm.get(s.head)?.size ?? 0;
      return mms >= 2 && !s.isShared ? `${mms} mms map it, but it is not marked` : undefined;
    },
  ),
  claim('mm-ids.unmapped', 'an unmapped folio has free slots and no mark [14]', (s) =>
    s.total === 0 && (s.isShared || s.ids[0] !== 0 || s.ids[1] !== 0)
      ? 'unmapped, but slots or mark are set'
      : undefined,
  ),
  claim('mm-ids.exclusive-slot', 'without the mark some slot counts every mapping [15]', (s) =>
    s.total > 0 && !s.isShared && s.mapcounts[0] !== s.total && s.mapcounts[1] !== s.total
      ? `no slot counts all ${s.total} mappings`
      : undefined,
  ),
  claim(
    'mm-ids.living',
    'no slot holds the id of a dead mm, and the lock is free [16, 17]',
    (s, kernel) => {
      if (kernel.large.locked[s.row] !== 0) return 'the large-mapcount lock is held';
      const living = new Set([...kernel.mms].map((mm) => mm.mmId));
      const dead = s.ids.find((id) => id !== 0 && !living.has(id));
      return dead === undefined ? undefined : `a slot holds the id ${dead} of no living mm`;
    },
  ),
];
