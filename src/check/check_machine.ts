import { checkInvariants } from '../kernel/invariants/index.js';
import type { Machine } from '../kernel/machine.js';
import type { OperationWatcher } from '../kernel/run_scenario.js';
import { checkContent, ContentOracle } from './shadow/shadow_scan.js';

/**
 * What `--check` means: after every operation all invariants hold, and memory holds what programs
 * wrote. Give it a fresh machine; what it returns crashes (RmapError `bug`) at the first problem.
 */
export function checkMachine(machine: Machine): OperationWatcher {
  const oracle = new ContentOracle(machine);
  return (operation, result) => {
    checkInvariants(machine.kernel);
    checkContent(oracle, operation, result);
  };
}
