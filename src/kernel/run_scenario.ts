import { RmapError } from '../base/errors.js';
import { Machine, type MachineOptions } from './machine.js';
import type { Operation, OperationResult } from './operation.js';
import type { MachineState } from './state/state_types.js';

/** What running a scenario gave: the content of a state file. */
export interface ScenarioRun {
  readonly results: ReadonlyArray<OperationResult & { readonly i: number }>;
  readonly states: readonly MachineState[];
}

/** Looks at the machine after an operation; it may throw. */
export type OperationWatcher = (operation: Operation, result: OperationResult) => void;

export interface ScenarioOptions extends MachineOptions {
  /** Given the fresh machine; what it returns is called after every operation but dumps. */
  readonly watch?: (machine: Machine) => OperationWatcher;
}

/**
 * Runs operations on a fresh machine: one result each but for dumps, one state a dump, and the
 * final one. An operation that makes no sense throws RmapError `input` with its number.
 */
export function runScenario(
  operations: readonly Operation[],
  options: ScenarioOptions = {},
): ScenarioRun {
  const machine = new Machine(options);
  const watcher = options.watch?.(machine);
  const results: Array<OperationResult & { readonly i: number }> = [];
  const states: MachineState[] = [];
  for (const [i, operation] of operations.entries()) {
    if (operation.op === 'dump') {
      states.push(machine.state(operation.label, i));
    } else {
      const result = applyNumbered(machine, operation, i);
      results.push({ i, ...result });
      watcher?.(operation, result);
    }
  }
  states.push(machine.state('final', operations.length));
  return { results, states };
}

/** An input error names the operation; line `i + 1` of a scenario file without empty lines. */
function applyNumbered(machine: Machine, operation: Operation, i: number): OperationResult {
  try {
    return machine.apply(operation);
  } catch (error) {
    if (!(error instanceof RmapError) || error.code !== 'input') throw error;
    throw new RmapError('input', `operation ${i} (${operation.op}): ${error.message}`, {
      cause: error,
    });
  }
}
