import { RmapError } from '../base/errors.js';

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, min: 60_000, h: 3_600_000 };

/** Parses `500ms`, `60s`, `1.5min`, `2h`; a bare number is seconds. `option` names it in errors. */
export function parseDurationMs(text: string, option: string): number {
  const [, digits = '', unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|min|h)?$/.exec(text) ?? [];
  const value = Number(digits) * (UNITS_MS[unit] ?? Number.NaN);
  if (digits !== '' && value > 0) return value;
  throw new RmapError(
    'usage',
    `${option} ${JSON.stringify(text)}: expected a time such as 500ms, 60s, 5min or 2h`,
  );
}

/** Parses the process ids of one or more words, separated by commas. */
export function parsePids(words: readonly string[]): number[] {
  return words.flatMap((word) =>
    word.split(',').map((part) => {
      const pid = Number(part);
      if (/^\d+$/.test(part) && pid > 0 && pid < 2 ** 31) return pid;
      throw new RmapError('usage', `${JSON.stringify(part)} is no process id`);
    }),
  );
}
