import { RmapError } from '../base/errors.js';
import type { Operation } from '../kernel/operation.js';
import { runScenario, type ScenarioOptions, type ScenarioRun } from '../kernel/run_scenario.js';
import type { Profile } from '../kernel/profile.js';
import { compareStateFiles } from '../trace/compare_states.js';
import type { StateComparison } from '../trace/difference.js';
import { REGION_START_PAGE } from '../trace/scenario.js';
import { readScenario, readStateFile } from '../trace/scenario_file.js';

export interface RunFileOptions {
  readonly profile?: Partial<Profile>;
  /** Looks at the machine after every operation. */
  readonly watch?: ScenarioOptions['watch'];
}

/** Runs a scenario on a fresh machine, its addresses counted from the region of scenarios. */
export function computeStates(
  operations: readonly Operation[],
  options: RunFileOptions = {},
): ScenarioRun {
  return runScenario(operations, {
    regionStart: REGION_START_PAGE,
    ...(options.profile === undefined ? {} : { profile: options.profile }),
    ...(options.watch === undefined ? {} : { watch: options.watch }),
  });
}

/** Runs one scenario file on a fresh machine. Errors name the file. */
export async function runScenarioFile(
  path: string,
  options: RunFileOptions = {},
): Promise<ScenarioRun> {
  const operations = await readScenario(path);
  try {
    return computeStates(operations, options);
  } catch (error) {
    if (!(error instanceof RmapError)) throw error;
    throw new RmapError(error.code, `${path}: ${error.message}`, { cause: error });
  }
}

/** Name of the state file that belongs to a scenario file. */
export function statePathOf(scenarioPath: string): string {
  if (!scenarioPath.endsWith('.ops.jsonl')) {
    throw new RmapError('usage', `${scenarioPath}: a scenario's name ends in .ops.jsonl`);
  }
  return `${scenarioPath.slice(0, -'.ops.jsonl'.length)}.state.json`;
}

/** Runs a scenario and compares with the state file beside it. */
export async function verifyScenarioFile(
  path: string,
  options: RunFileOptions = {},
): Promise<StateComparison> {
  const statePath = statePathOf(path);
  const run = await runScenarioFile(path, options);
  return compareStateFiles(await readStateFile(statePath), run);
}
