/** Random scenarios on the engine alone: no crash, invariants and content hold, builds agree. */
import { setImmediate } from 'node:timers/promises';
import type { FuzzFinding } from './fuzz_findings.js';
import { type Judged, loadJudge } from './fuzz_judge.js';
import type { PlannedScenario } from './fuzz_plan.js';

export interface EngineFuzzOptions {
  readonly scenarios: Iterable<PlannedScenario>;
  /** Check all invariants and the content of memory after every operation. */
  readonly check: boolean;
  /** What goes wrong from now on, goes wrong with this scenario. */
  readonly onStart: (planned: PlannedScenario) => void;
  readonly onScenario: (doneCount: number) => void;
  /** Returns whether to go on. */
  readonly onFinding: (finding: FuzzFinding) => Promise<boolean>;
}

export interface EngineFuzzCounts {
  readonly scenarios: number;
  readonly operations: number;
}

/** One scenario after the other, in this thread. */
export async function fuzzEngine(options: EngineFuzzOptions): Promise<EngineFuzzCounts> {
  const judge = await loadJudge(options.check);
  const counts = { scenarios: 0, operations: 0 };
  for (const planned of options.scenarios) {
    options.onStart(planned);
    const judged = judge(planned, counts.scenarios);
    counts.scenarios += 1;
    counts.operations += judged.operationCount;
    options.onScenario(counts.scenarios);
    // Signals are heard between scenarios.
    await setImmediate();
    const finding = findingOf(planned, judged);
    if (finding !== undefined && !(await options.onFinding(finding))) break;
  }
  return counts;
}

export function findingOf(planned: PlannedScenario, { wrong }: Judged): FuzzFinding | undefined {
  return wrong === undefined ? undefined : { planned, ...wrong, details: [] };
}
