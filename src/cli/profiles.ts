import { RmapError } from '../base/errors.js';
import type { Profile } from '../kernel/profile.js';

/** Builds of the kernel by the name that `--profile` takes. */
const PROFILES: Readonly<Record<string, Partial<Profile>>> = {
  default: {},
  'no-page-mapcount': { pageMapcount: false },
  'no-mm-id': { mmIds: 'none' },
  'mm-id-32': { mmIds: '32-bit' },
  'no-thp': { transparentHugepage: false },
  'no-swap': { swap: false },
  'no-ksm': { ksm: false },
  'soft-dirty': { softDirty: true },
  'small-memory': { memoryPages: 4096 },
};

export const PROFILE_NAMES: readonly string[] = Object.keys(PROFILES);

/** The profile of this name, or a usage error. */
export function profileOf(name: string): Partial<Profile> {
  const profile = Object.hasOwn(PROFILES, name) ? PROFILES[name] : undefined;
  if (profile !== undefined) return profile;
  throw new RmapError(
    'usage',
    `--profile ${JSON.stringify(name)}: expected one of ${PROFILE_NAMES.join(' ')}`,
  );
}
