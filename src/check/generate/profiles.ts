/** Machines that scenarios run on: builds of the kernel and sizes of memory, by name. */
import { PAGES_PER_PUD } from '../../base/units.js';
import type { Profile } from '../../kernel/profile.js';
import { modeOf, type ModeName } from './modes.js';

const PROFILES = {
  default: {},
  'no-page-mapcount': { pageMapcount: false },
  'no-mm-id': { mmIds: 'none' },
  'mm-id-32': { mmIds: '32-bit' },
  'no-thp': { transparentHugepage: false },
  'no-swap': { swap: false },
  'no-ksm': { ksm: false },
  'soft-dirty': { softDirty: true },
  // The options of the two above that change most, in one build.
  minimal: { pageMapcount: false, mmIds: 'none', swap: false, ksm: false },
  // These depend on what a mode uses: see `profileOf`.
  'small-memory': {},
  'two-nodes': {},
} as const satisfies Readonly<Record<string, Partial<Profile>>>;

export type ProfileName = keyof typeof PROFILES;

export const PROFILE_NAMES = Object.keys(PROFILES) as readonly ProfileName[];

export function isProfileName(name: string): name is ProfileName {
  return Object.hasOwn(PROFILES, name);
}

/**
 * The machine for scenarios of a mode. Its memory is never used up, but with `small-memory`: making
 * a large memory map takes longer than a short scenario.
 */
export function profileOf(name: ProfileName, modeName: ModeName): Partial<Profile> {
  const { space, nodes = 1 } = modeOf(modeName);
  const isSmall = name === 'small-memory';
  const memoryPages = memoryPagesFor(space.grain, isSmall);
  const isSplit = nodes > 1 || name === 'two-nodes';
  return { ...PROFILES[name], memoryPages, nodePages: isSplit ? [memoryPages / 2] : [] };
}

function memoryPagesFor(grain: number, isSmall: boolean): number {
  if (grain === PAGES_PER_PUD) return (isSmall ? 2 : 4) * PAGES_PER_PUD;
  if (grain === 1) return isSmall ? 96 : 2048;
  return isSmall ? 1536 : 16_384;
}
