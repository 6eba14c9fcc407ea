import { RmapError } from '../base/errors.js';

const MOST = 1e12;

/** Parses a whole number of at least `least`. `option` names it in errors. */
export function parseCount(text: string, option: string, least = 1): number {
  const value = /^\d{1,13}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= MOST) return value;
  throw new RmapError(
    'usage',
    `${option} ${JSON.stringify(text)}: expected a whole number of ${least} or more`,
  );
}
