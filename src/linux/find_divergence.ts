import { readFileSync } from 'node:fs';
import { RmapError } from '../base/errors.js';
import type { Operation } from '../kernel/operation.js';
import { compareStateFiles } from '../trace/compare_states.js';
import type { StateComparison } from '../trace/difference.js';
import type { StateFile, StateResult } from '../trace/state.js';
import type { ScenarioRunner } from './verify_live.js';

/** What a scenario showed on the running kernel and in the engine. */
export type Finding =
  | { readonly kind: 'agrees' }
  /** The kernel itself answered differently when it was asked again. */
  | { readonly kind: 'unsteady'; readonly live: StateFile }
  /** It hangs on how many hugetlb pages are promised, which this host has lost count of. */
  | { readonly kind: 'untrusted'; readonly live: StateFile }
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
    if (run < MOST_RUNS) continue;
    if (hasLostPromises() && hangsOnPromises(operations, live, computed)) {
      return { kind: 'untrusted', live };
    }
    return { kind: 'diverges', live, comparison };
  }
  return { kind: 'agrees' };
}

/** Whether pages of the hugetlb pool are promised to nobody: a bug of Linux loses them for good. */
function hasLostPromises(): boolean {
  return /^HugePages_Rsvd:\s*0$/m.exec(readFileSync('/proc/meminfo', 'utf8')) === null;
}

/** Whether one of the two ran out of hugetlb pages where the other did not. */
function hangsOnPromises(
  operations: readonly Operation[],
  live: StateFile,
  computed: StateFile | Error,
): boolean {
  if (computed instanceof Error) return false;
  if (!operations.some((one) => one.op === 'config' && one.key === 'hugetlb')) return false;
  return live.results.some((result, i) => ranOut(result) !== ranOut(computed.results[i]));
}

function ranOut(result: StateResult | undefined): boolean {
  if (result === undefined) return false;
  // Access by others fails with EFAULT or EIO where the process itself would get SIGBUS.
  const { err = '' } = result;
  return (
    ['ENOMEM', 'EFAULT', 'EIO'].includes(err) ||
    result.vals?.some(([value]) => value === 'BUS') === true
  );
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
