/** Random scenarios on the engine and on the running kernel. */
import { RmapError } from '../base/errors.js';
import { checkMachine } from '../check/check_machine.js';
import { generateScenario } from '../check/generate/generate.js';
import { shrinkSteps } from '../check/shrink.js';
import type { Operation } from '../kernel/operation.js';
import type { Finding } from '../linux/find_divergence.js';
import { findDivergence } from '../linux/find_divergence.js';
import { LiveServer } from '../linux/live_server.js';
import { computeStates } from '../query/scenario.js';
import type { StateFile } from '../trace/state.js';
import { describeDifference } from '../trace/difference.js';
import type { FuzzFinding } from './fuzz_findings.js';
import type { PlannedScenario } from './fuzz_plan.js';

export interface LiveFuzzCounts {
  scenarios: number;
  operations: number;
  /** Scenarios on which the kernel did not answer the same twice. */
  unsteady: number;
  /** Scenarios that ran out of hugetlb pages on a host that has lost some. */
  untrusted: number;
}

export interface LiveFuzzOptions {
  readonly scenarios: Iterable<PlannedScenario>;
  /** Check all invariants and the content of memory after every operation of the engine. */
  readonly check: boolean;
  /** Most candidates while a divergence is made smaller. */
  readonly mostTests: number;
  readonly onWait: () => void;
  readonly onScenario: (doneCount: number) => void;
  /** The kernel did not answer the same twice. */
  readonly onUnsteady: (planned: PlannedScenario) => void;
  /** Returns whether to go on. */
  readonly onFinding: (finding: FuzzFinding) => Promise<boolean>;
}

/** Runs the scenarios until one of the callbacks says that it is enough. */
export async function fuzzLive(options: LiveFuzzOptions): Promise<LiveFuzzCounts> {
  const counts: LiveFuzzCounts = { scenarios: 0, operations: 0, unsteady: 0, untrusted: 0 };
  const kernel = new ReopenedServer(options.onWait);
  const engine = (operations: readonly Operation[]): StateFile =>
    computeStates(operations, options.check ? { watch: checkMachine } : {});
  try {
    for (const planned of options.scenarios) {
      const operations = generateScenario(planned.generated);
      const finding = await findDivergence(kernel, operations, engine);
      counts.scenarios += 1;
      counts.operations += operations.length;
      if (finding.kind === 'unsteady') {
        counts.unsteady += 1;
        options.onUnsteady(planned);
      }
      if (finding.kind === 'untrusted') counts.untrusted += 1;
      options.onScenario(counts.scenarios);
      if (finding.kind !== 'diverges') continue;
      const shrunk = await shrinkLive(kernel, operations, engine, options.mostTests, finding);
      if (!(await options.onFinding({ planned, ...shrunk }))) break;
    }
  } finally {
    await kernel.close();
  }
  return counts;
}

/** Field and kind of thing of the first difference: stays the same while a scenario shrinks. */
function kindOf({ comparison }: Diverging): string {
  const [first] = comparison.differences;
  const [thing = ''] = first?.where.split(' ') ?? [];
  return `${first?.state === '' ? 'result' : 'state'} ${thing} ${first?.field.split(' ')[0]}`;
}

type Diverging = Extract<Finding, { kind: 'diverges' }>;

async function shrinkLive(
  kernel: ReopenedServer,
  operations: readonly Operation[],
  engine: (operations: readonly Operation[]) => StateFile,
  mostTests: number,
  first: Diverging,
): Promise<Omit<FuzzFinding, 'planned'>> {
  let finding = first;
  const kind = kindOf(first);
  const shows = async (candidate: readonly Operation[]): Promise<boolean> => {
    try {
      const found = await findDivergence(kernel, candidate, engine);
      if (found.kind !== 'diverges' || kindOf(found) !== kind) return false;
      finding = found;
      return true;
    } catch (error) {
      // What is left over makes no sense: an operation on a file that is gone, say.
      if (error instanceof RmapError && error.code !== 'bug') return false;
      throw error;
    }
  };
  const steps = shrinkSteps(operations, { mostTests });
  let step = steps.next();
  while (step.done !== true) step = steps.next(await shows(step.value));
  const { live, comparison } = finding;
  const message = `kernel and engine differ in ${comparison.count} places`;
  const details = comparison.differences.map(describeDifference);
  return { operations: step.value.operations, live, message, details };
}

/** A live server that is opened again after a scenario that it could not perform. */
class ReopenedServer {
  readonly #onWait: () => void;
  #server: LiveServer | undefined = undefined;

  constructor(onWait: () => void) {
    this.#onWait = onWait;
  }

  async run(operations: readonly Operation[]): Promise<StateFile> {
    this.#server ??= await LiveServer.open({ onWait: this.#onWait });
    const server = this.#server;
    try {
      return await server.run(operations);
    } catch (error) {
      this.#server = undefined;
      await server.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#server?.close();
  }
}
