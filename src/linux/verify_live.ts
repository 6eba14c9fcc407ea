/** Scenario files performed on the running kernel, compared with what is given and computed. */
import { existsSync, readFileSync } from 'node:fs';
import { RmapError } from '../base/errors.js';
import type { Operation } from '../kernel/operation.js';
import { compareStateFiles } from '../trace/compare_states.js';
import type { StateComparison } from '../trace/difference.js';
import { readScenario } from '../trace/scenario_file.js';
import { parseStateFile } from '../trace/state.js';
import type { StateFile } from '../trace/state.js';
import { LiveServer } from './live_server.js';

export interface VerifyLiveOptions {
  /** Computes the states of a scenario; left out, only the given states are compared. */
  readonly engine?: (operations: readonly Operation[]) => StateFile;
  /**
   * Most tries of a scenario that does not agree. A folio is split only if nobody else holds a
   * reference at that moment, and lists of CPUs are flushed by whatever else runs: a difference
   * counts when it stays.
   */
  readonly tries?: number;
  readonly onVerdict?: (verdict: LiveVerdict) => void;
  /** Another live run holds the lock. */
  readonly onWait?: () => void;
}

export interface LiveVerdict {
  readonly file: string;
  /** What the kernel answered. */
  readonly live: StateFile;
  /** How often the scenario was performed; the verdict is that of the closest try. */
  readonly tries: number;
  /** Given state (expected) and kernel (got); absent without a state file. */
  readonly given?: StateComparison;
  /** Kernel (expected) and engine (got); absent without an engine. */
  readonly engine?: StateComparison;
}

const DEFAULT_TRIES = 3;
const SCENARIO_SUFFIX = '.ops.jsonl';

/** Whether the kernel agrees with everything it was compared with. */
export function agrees(verdict: LiveVerdict): boolean {
  return differenceCount(verdict) === 0;
}

function differenceCount({ given, engine }: LiveVerdict): number {
  return (given?.count ?? 0) + (engine?.count ?? 0);
}

/** The state given beside a scenario: NAME.state.json for NAME.ops.jsonl. */
function readGivenState(file: string): StateFile | undefined {
  if (!file.endsWith(SCENARIO_SUFFIX)) return undefined;
  const path = `${file.slice(0, -SCENARIO_SUFFIX.length)}.state.json`;
  return existsSync(path) ? parseStateFile(readFileSync(path, 'utf8'), path) : undefined;
}

/** What performs scenarios: a `LiveServer`. */
export interface ScenarioRunner {
  run(operations: readonly Operation[]): Promise<StateFile>;
}

/** Performs one scenario file until the kernel agrees with all it is compared with, or `tries`. */
export async function verifyScenario(
  server: ScenarioRunner,
  file: string,
  options: VerifyLiveOptions,
): Promise<LiveVerdict> {
  const operations = await readScenario(file);
  const given = readGivenState(file);
  const computed = options.engine?.(operations);
  const most = options.tries ?? DEFAULT_TRIES;
  let best: LiveVerdict | undefined;
  for (let tries = 1; tries <= most; tries += 1) {
    const live = await server.run(operations);
    const verdict: LiveVerdict = {
      file,
      live,
      tries,
      ...(given === undefined ? {} : { given: compareStateFiles(given, live) }),
      ...(computed === undefined ? {} : { engine: compareStateFiles(live, computed) }),
    };
    if (best === undefined || differenceCount(verdict) < differenceCount(best)) best = verdict;
    if (agrees(verdict)) break;
    best = { ...best, tries };
  }
  if (best === undefined) throw new RmapError('usage', `tries is ${most}, expected 1 or more`);
  return best;
}

/**
 * Performs scenario files one after the other. Bad files end it with an `input` error; a host that
 * cannot do it with an `environment` error. Settings are restored on every way out.
 */
export async function verifyLive(
  files: readonly string[],
  options: VerifyLiveOptions = {},
): Promise<LiveVerdict[]> {
  const { onWait } = options;
  const server = await LiveServer.open(onWait === undefined ? {} : { onWait });
  try {
    const verdicts: LiveVerdict[] = [];
    for (const file of files) {
      const verdict = await verifyScenario(server, file, options);
      options.onVerdict?.(verdict);
      verdicts.push(verdict);
    }
    return verdicts;
  } finally {
    await server.close();
  }
}
