/** Which random scenarios `fuzz` performs, and on which machines. */
import { RmapError } from '../base/errors.js';
import type { GenerateOptions } from '../check/generate/generate.js';
import { isModeName, LIVE_MODE_NAMES, MODE_NAMES } from '../check/generate/modes.js';
import { isProfileName, PROFILE_NAMES, type ProfileName } from '../check/generate/profiles.js';
import { parseCount } from './parse_count.js';
import { parseDurationMs } from './parse_duration.js';

/** The options of `fuzz` that say what is performed. */
export interface PlanOptions {
  readonly live?: boolean;
  readonly seed: string;
  readonly runs?: string;
  readonly for?: string;
  readonly mode?: string;
  readonly ops: string;
  readonly profile?: string;
  readonly check?: boolean;
}

/** One scenario to generate, and the machine of the engine that performs it. */
export interface PlannedScenario {
  readonly generated: GenerateOptions;
  readonly profile: ProfileName;
}

export const DEFAULT_RUNS = 1000;

/** Up to this many scenarios take less time than it takes to start threads for them. */
const MOST_RUNS_OF_ONE = 50;
/** Each thread has memory of its own. */
const MOST_JOBS = 256;

function modeNamesOf(options: PlanOptions): typeof MODE_NAMES {
  const names = options.live === true ? LIVE_MODE_NAMES : MODE_NAMES;
  const { mode } = options;
  if (mode === undefined) return names;
  if (!isModeName(mode) || !names.includes(mode)) {
    const among = options.live === true ? 'with --live ' : '';
    throw new RmapError(
      'usage',
      `--mode ${JSON.stringify(mode)}: expected ${among}one of ${names.join(' ')}`,
    );
  }
  return [mode];
}

function profileNamesOf({ live, profile }: PlanOptions): typeof PROFILE_NAMES {
  if (live === true && profile !== undefined) {
    throw new RmapError('usage', '--profile: not with --live');
  }
  if (live === true) return ['default'];
  if (profile === undefined) return PROFILE_NAMES;
  if (isProfileName(profile)) return [profile];
  throw new RmapError(
    'usage',
    `--profile ${JSON.stringify(profile)}: expected one of ${PROFILE_NAMES.join(' ')}`,
  );
}

/**
 * The scenarios to generate, until the number or the time is used up. Consecutive seeds take the
 * modes in turn, and each round of modes the next profile. Throws usage errors at once.
 */
export function planScenarios(options: PlanOptions): Iterable<PlannedScenario> {
  const modes = modeNamesOf(options);
  const profiles = profileNamesOf(options);
  const firstSeed = parseCount(options.seed, '--seed', 0);
  const operationCount = parseCount(options.ops, '--ops');
  const forMs = options.for === undefined ? Infinity : parseDurationMs(options.for, '--for');
  const runs = runsOf(options);
  const isLive = options.live === true;
  function* scenarios(): Generator<PlannedScenario> {
    const endMs = performance.now() + forMs;
    for (let run = 0; run < runs && performance.now() < endMs; run += 1) {
      const seed = firstSeed + run;
      const mode = inTurn(modes, seed);
      const profile = inTurn(profiles, Math.floor(seed / modes.length));
      const dumpRate = isLive ? 0.03 : 0;
      yield { generated: { seed, mode, operationCount, isLive, dumpRate }, profile };
    }
  }
  return scenarios();
}

function runsOf(options: PlanOptions): number {
  if (options.runs !== undefined) return parseCount(options.runs, '--runs');
  return options.for === undefined ? DEFAULT_RUNS : Infinity;
}

/**
 * How many scenarios are performed at a time: what `--jobs` says, or one for each processor where
 * that saves time.
 */
export function planJobs(
  options: PlanOptions & { readonly jobs?: string },
  processorCount: number,
): number {
  const { jobs, live } = options;
  if (live === true && jobs !== undefined) {
    throw new RmapError('usage', '--jobs: not with --live, which has one kernel');
  }
  if (jobs !== undefined) return parseCount(jobs, '--jobs', 1, MOST_JOBS);
  const isShort = live === true || runsOf(options) <= MOST_RUNS_OF_ONE;
  return isShort ? 1 : Math.min(processorCount, MOST_JOBS);
}

function inTurn<T>(items: readonly T[], turn: number): T {
  const item = items[turn % items.length];
  if (item === undefined) throw new RangeError('nothing to take in turn');
  return item;
}

/** The command that performs one scenario again. */
export function replayLine(options: PlanOptions, planned: PlannedScenario): string {
  const { seed, mode, operationCount } = planned.generated;
  const words = ['rmap fuzz'];
  if (options.live === true) words.push('--live');
  words.push(`--mode ${mode} --seed ${seed} --runs 1 --ops ${operationCount}`);
  if (options.live !== true) words.push(`--profile ${planned.profile}`);
  if (options.check === true) words.push('--check');
  return words.join(' ');
}
