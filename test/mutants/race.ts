/** Two operations at once, in every order that one interruption allows. */
import { CpuTask } from '../../src/check/interleave/cpu_task.js';
import type { Machine } from '../../src/kernel/machine.js';
import type { Point } from '../../src/kernel/op/prims.js';
import type { Operation, OperationResult } from '../../src/kernel/operation.js';
import type { Profile } from '../../src/kernel/profile.js';
import { Judge, newMachine, type Claim, type Step } from './judge.js';
import { loadKernel, type Edit, type LoadedKernel } from './kernel_loader.js';

/** A bug that needs two CPUs. */
export interface Race {
  readonly name: string;
  /** Where CPUs may come in beside the declared points; made for both, right rule and wrong. */
  readonly setting?: readonly Edit[];
  readonly edits: readonly Edit[];
  /** Before the two begin. */
  readonly setUp: readonly Step[];
  /** Is interrupted once, at each of its points in turn. */
  readonly first: Operation;
  /** Runs meanwhile, as far as locks let it. By hand: what this engine has no operation for. */
  readonly second: readonly Step[];
  /** The first begins only when the second has come to this point. */
  readonly secondWaitsAt?: (point: Point) => boolean;
  /** Afterwards. */
  readonly afterwards?: readonly Operation[];
  readonly broken: string;
  readonly claim?: Claim;
  readonly profile?: Partial<Profile>;
}

/** More steps than any operation here takes. */
const STEP_LIMIT = 20_000;

type Task = CpuTask<OperationResult>;

/** An operation on a CPU of its own, whose result the judge hears of. */
function taskOf(machine: Machine, operation: Operation, verdict: Judge): Task {
  return new CpuTask(machine.applyOp(operation), (result) => verdict.note(operation, result));
}

/** What broke in any of the orders; `orders` is how many there are. */
export async function explore(
  race: Race,
  edits: readonly Edit[],
): Promise<{ readonly broken: ReadonlySet<string>; readonly problems: string[]; orders: number }> {
  const broken = new Set<string>();
  const problems: string[] = [];
  const loaded = loadKernel('check', [...(race.setting ?? []), ...edits]);
  for (let interruptedAt = 0; interruptedAt < STEP_LIMIT; interruptedAt += 1) {
    const { verdict, isLast } = await runOnce(race, loaded, interruptedAt);
    for (const id of verdict.broken) broken.add(id);
    problems.push(...verdict.problems.map((problem) => `after ${interruptedAt} steps: ${problem}`));
    if (isLast) return { broken, problems, orders: interruptedAt + 1 };
  }
  throw new Error('the first operation does not end');
}

async function runOnce(
  race: Race,
  loaded: LoadedKernel,
  interruptedAt: number,
): Promise<{ readonly verdict: Judge; readonly isLast: boolean }> {
  const machine = await newMachine(loaded, race.profile);
  const verdict = new Judge(machine);
  for (const step of race.setUp) perform(machine, step, verdict);
  const first = taskOf(machine, race.first, verdict);
  const rest = [...race.second];
  let second: Task | undefined;
  let isLast = false;
  try {
    if (race.secondWaitsAt !== undefined) {
      const operation = rest.shift();
      if (operation === undefined || typeof operation === 'function') throw new Error('no second');
      second = taskOf(machine, operation, verdict);
      second.go(race.secondWaitsAt);
    }
    for (let steps = 0; steps < interruptedAt && !first.isStopped; steps += 1) {
      first.step();
    }
    isLast = first.isStopped;
    for (;;) {
      second?.go();
      if (second !== undefined && !second.isDone) {
        const before = first.pending;
        first.go();
        if (!first.isDone && first.pending === before) throw new Error('both wait');
        continue;
      }
      verdict.inProgress();
      const step = rest.shift();
      if (step === undefined) break;
      second = undefined;
      if (typeof step === 'function') step(machine);
      else second = taskOf(machine, step, verdict);
    }
    first.go();
    if (!first.isDone) throw new Error('the first waits for nobody');
    // Which of the two came last at a page is not known: what was advised away may be gone.
    for (const step of race.second) {
      if (typeof step !== 'function' && step.op === 'madvise') verdict.note(step, { ret: -1 });
    }
    verdict.atRest();
    for (const operation of race.afterwards ?? []) perform(machine, operation, verdict);
    verdict.atEnd(race.claim);
  } catch (error) {
    verdict.crashed(error);
  }
  return { verdict, isLast };
}

function perform(machine: Machine, step: Step, verdict: Judge): void {
  if (typeof step === 'function') step(machine);
  else {
    verdict.note(step, machine.apply(step));
    verdict.atRest();
  }
}
