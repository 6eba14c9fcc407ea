import { RmapError } from '../base/errors.js';
import type { Operation } from '../kernel/operation.js';
import { compareStateFiles } from '../trace/compare_states.js';
import type { StateComparison } from '../trace/difference.js';
import type { StateFile } from '../trace/state.js';
import type { ScenarioRunner } from './verify_live.js';

/** What a scenario showed on the running kernel and in the engine. */
export type Finding =
  | { readonly kind: 'agrees' }
  /** The kernel itself answered differently when it was asked again. */
  | { readonly kind: 'unsteady'; readonly live: StateFile }
  | {
      readonly kind: 'diverges';
      readonly live: StateFile;
      /** Kernel (expected) and engine (got). */
      readonly comparison: StateComparison;
    };

const MOST_RUNS = 3;

/**
 * Performs a scenario on the kernel and in the engine. A divergence counts if the kernel gives the
 * same answer again: it is not always deterministic (per-CPU lists, references of others).
 */
export async function findDivergence(
  server: ScenarioRunner,
  operations: readonly Operation[],
  engine: (operations: readonly Operation[]) => StateFile,
): Promise<Finding> {
  const computed = computeOrExplain(operations, engine);
  let first: StateFile | undefined;
  for (let run = 1; run <= MOST_RUNS; run += 1) {
    const live = await server.run(operations);
    const comparison = compareWithEngine(live, computed);
    if (comparison.count === 0) return { kind: 'agrees' };
    if (first !== undefined && compareStateFiles(first, live).count > 0) {
      return { kind: 'unsteady', live };
    }
    first = live;
    if (run === MOST_RUNS) return { kind: 'diverges', live, comparison };
  }
  return { kind: 'agrees' };
}

/** The engine's answer, or what it failed with; bad scenarios are the caller's fault. */
function computeOrExplain(
  operations: readonly Operation[],
  engine: (operations: readonly Operation[]) => StateFile,
): StateFile | Error {
  try {
    return engine(operations);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (error instanceof RmapError && error.code !== 'bug') throw error;
    return error;
  }
}

function compareWithEngine(live: StateFile, computed: StateFile | Error): StateComparison {
  if (!(computed instanceof Error)) return compareStateFiles(live, computed);
  const failure = {
    state: '',
    where: 'engine',
    field: 'outcome',
    expected: 'an answer',
    got: computed.message,
  };
  return { count: 1, differences: [failure] };
}
