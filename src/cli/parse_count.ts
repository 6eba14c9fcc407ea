import { RmapError } from '../base/errors.js';

const MOST = 1e12;

/** Parses a whole number between `least` and `most`. `option` names it in errors. */
export function parseCount(text: string, option: string, least = 1, most = MOST): number {
  const value = /^\d{1,13}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new RmapError(
    'usage',
    `${option} ${JSON.stringify(text)}: expected a whole number ` +
      (most === MOST ? `of ${least} or more` : `from ${least} to ${most}`),
  );
}
