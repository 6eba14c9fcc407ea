import { REGION_START_PAGE } from '../trace/scenario.js';
import type { StateRun } from '../trace/state.js';
import { kpageflagNames } from './kpageflag_names.js';
import type { LiveNames } from './live_names.js';
import {
  ENTRY_DIRTY,
  ENTRY_PROT_NONE,
  ENTRY_SWAP_EXCLUSIVE,
  ENTRY_WRITE,
  ENTRY_YOUNG,
  MAP_FILE,
  MAP_GUARD,
  MAP_MAPPED_ONCE,
  MAP_PRESENT,
  MAP_SWAP,
  MAP_UFFD_WP,
} from './live_observation.js';
import type { AbsentPage, ObservedVma, PresentPage } from './live_observation.js';

/** Entry types from here on are no swap areas: migration, markers, poison. */
const FIRST_SPECIAL_SWAP_TYPE = 20;
const LEVELS = ['pte', 'pmd'] as const;

/** Pages of a VMA as runs that are equal in everything, with consecutive `sub` or `slot`. */
export function pageRuns(vma: ObservedVma, isFileMapping: boolean, names: LiveNames): StateRun[] {
  const runs: StateRun[] = [];
  let last: { key: string; end: number; next: number | undefined } | undefined;
  for (const page of vma.pages) {
    const run = pageRun(page, isFileMapping, names);
    if (run === undefined) continue;
    const { key, step } = runKey(run);
    const previous = runs.at(-1);
    if (previous !== undefined && last?.key === key && last.end === run.at && last.next === step) {
      runs[runs.length - 1] = { ...previous, n: previous.n + 1 };
    } else {
      runs.push(run);
    }
    last = { key, end: run.at + 1, next: step === undefined ? undefined : step + 1 };
  }
  return runs;
}

function pageRun(
  page: AbsentPage | PresentPage,
  isFileMapping: boolean,
  names: LiveNames,
): StateRun | undefined {
  if (page.length !== 6) return presentRun(page, isFileMapping, names);
  const [vpn, level, bits, map, offset, type] = page;
  const at = vpn - REGION_START_PAGE;
  if (bit(map, MAP_GUARD) === 1) return { at, n: 1, k: 'guard' };
  if (bit(map, MAP_SWAP) === 0 || type >= FIRST_SPECIAL_SWAP_TYPE) return undefined;
  return {
    at,
    n: 1,
    k: 'swap',
    slot: names.slot(type, offset),
    level: LEVELS[level] ?? 'pte',
    se: bit(bits, ENTRY_SWAP_EXCLUSIVE),
    type,
  };
}

function presentRun(
  page: PresentPage,
  isFileMapping: boolean,
  names: LiveNames,
): StateRun | undefined {
  const [vpn, level, bits, map, frame, head, kc, kflags, pmc, ae] = page;
  const folio = names.folioAt(head);
  if (bit(map, MAP_PRESENT) === 0 || folio === undefined) return undefined;
  const isZero = folio.zero !== undefined;
  const isAnon = folio.av !== undefined || folio.ksm !== undefined;
  const isLarge = !isZero && folio.order > 0 && folio.hugetlb === undefined;
  return {
    at: vpn - REGION_START_PAGE,
    n: 1,
    k: 'page',
    folio: names.folio(folio, isFileMapping),
    ...(isZero ? {} : { sub: frame - head }),
    level: LEVELS[level] ?? 'pmd',
    w: bit(bits, ENTRY_WRITE),
    d: bit(bits, ENTRY_DIRTY),
    y: bit(bits, ENTRY_YOUNG),
    ...(bit(bits, ENTRY_PROT_NONE) === 1 ? { none: 1 } : {}),
    x: bit(map, MAP_MAPPED_ONCE),
    ...(bit(map, MAP_FILE) === 1 ? { file: 1 } : {}),
    ...(bit(map, MAP_UFFD_WP) === 1 ? { uffd_wp: 1 } : {}),
    ...(isAnon ? { ae } : {}),
    ...(isZero ? {} : { kc }),
    ...(isLarge ? { pmc } : {}),
    kf: kpageflagNames(kflags),
  };
}

function bit(word: number, mask: number): number {
  return (word & mask) === 0 ? 0 : 1;
}

/** All that must be equal within a run, and what must count up. */
function runKey(run: StateRun): { key: string; step: number | undefined } {
  if (run.k === 'guard') return { key: 'guard', step: undefined };
  if (run.k === 'swap') return { key: `swap ${run.level} ${run.se} ${run.type}`, step: run.slot };
  const { at: _at, n: _n, sub, ...rest } = run;
  return { key: JSON.stringify(rest), step: sub };
}
