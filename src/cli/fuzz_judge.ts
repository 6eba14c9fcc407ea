/** What is wrong with a random scenario on the engine: crash, invariant, content, other build. */
import { RmapError } from '../base/errors.js';
import { checkMachine } from '../check/check_machine.js';
import { generateScenario } from '../check/generate/generate.js';
import { profileOf } from '../check/generate/profiles.js';
import { shrinkScenario } from '../check/shrink.js';
import { checkInvariants } from '../kernel/invariants/index.js';
import { Machine } from '../kernel/machine.js';
import type { MachineOptions } from '../kernel/machine.js';
import type { Operation } from '../kernel/operation.js';
import type { Profile } from '../kernel/profile.js';
import { REGION_START_PAGE } from '../trace/scenario.js';
import type { PlannedScenario } from './fuzz_plan.js';

/** A scenario that was performed. */
export interface Judged {
  readonly operationCount: number;
  /** What is wrong, and the smallest scenario that shows it. */
  readonly wrong?: { readonly operations: readonly Operation[]; readonly message: string };
}

/**
 * Performs one scenario and makes it small when something is wrong: the same outcome wherever and
 * whenever it is called.
 * @param number Place of the scenario among all of a run, from 0.
 */
export type Judge = (planned: PlannedScenario, number: number) => Judged;

/** Every so many scenarios run in the other build too, and are checked at the end. */
const OTHER_BUILD_EVERY = 61;

type MachineClass = new (options: MachineOptions) => Machine;

/** @param isChecked Check all invariants and the content of memory after every operation. */
export async function loadJudge(isChecked: boolean): Promise<Judge> {
  const OtherMachine = await loadCheckBuild();
  return (planned, number) => {
    const operations = generateScenario(planned.generated);
    const operationCount = operations.length;
    const other = number % OTHER_BUILD_EVERY === 0 ? OtherMachine : undefined;
    const profile = profileOf(planned.profile, planned.generated.mode);
    const judge = (candidate: readonly Operation[]): string | undefined =>
      whatFails(candidate, profile, isChecked, other);
    const failure = judge(operations);
    if (failure === undefined) return { operationCount };
    const kind = kindOf(failure);
    const shrunk = shrinkScenario(operations, (candidate) => {
      const now = judge(candidate);
      return now !== undefined && kindOf(now) === kind;
    });
    const message = judge(shrunk.operations) ?? failure;
    return { operationCount, wrong: { operations: shrunk.operations, message } };
  };
}

/** The class of the build that keeps its generators; not bundled with the fast one. */
async function loadCheckBuild(): Promise<MachineClass | undefined> {
  const url = new URL('../../check/kernel/machine.js', import.meta.url).href;
  if (url === new URL('../kernel/machine.js', import.meta.url).href) return undefined;
  try {
    return ((await import(url)) as { readonly Machine: MachineClass }).Machine;
  } catch {
    return undefined;
  }
}

/** While a failure is made smaller it must stay the same one: numbers in it may change. */
function kindOf(message: string): string {
  return message.replace(/[0-9]+/g, '#').slice(0, 60);
}

/** Runs a scenario; the first thing that is wrong, or undefined. */
function whatFails(
  operations: readonly Operation[],
  profile: Partial<Profile>,
  isChecked: boolean,
  Other: MachineClass | undefined,
): string | undefined {
  const machineOptions: MachineOptions = { regionStart: REGION_START_PAGE, profile };
  const machine = new Machine(machineOptions);
  try {
    const check = isChecked ? checkMachine(machine) : undefined;
    for (const operation of operations) {
      const result = machine.apply(operation);
      check?.(operation, result);
    }
    if (Other === undefined) return undefined;
    checkInvariants(machine.kernel);
    const other = new Other(machineOptions);
    for (const operation of operations) other.apply(operation);
    const [one, two] = [machine.fingerprint(), other.fingerprint()];
    return one === two ? undefined : `the two builds differ: fingerprints ${one} and ${two}`;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    // A smaller scenario may make no sense any more: that is no failure.
    if (error instanceof RmapError && error.code === 'input') return undefined;
    return error instanceof RmapError ? error.message : `${error.name}: ${error.message}`;
  }
}
