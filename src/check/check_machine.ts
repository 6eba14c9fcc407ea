import { fail } from '../base/errors.js';
import { checkInvariants } from '../kernel/invariants/index.js';
import type { Machine } from '../kernel/machine.js';
import type { OperationWatcher } from '../kernel/run_scenario.js';
import { MERGE_INVARIANT, MergeOracle } from './merge_oracle.js';
import { checkContent, ContentOracle } from './shadow/shadow_scan.js';

/**
 * What `--check` means: after every operation all invariants hold, it merged what it should, and
 * memory holds what programs wrote. Give it a fresh machine; what it returns crashes (RmapError
 * `bug`) at the first problem.
 */
export function checkMachine(machine: Machine): OperationWatcher {
  const oracle = new ContentOracle(machine);
  const merges = new MergeOracle(machine);
  return (operation, result) => {
    checkInvariants(machine.kernel);
    const [left] = merges.after(operation, result);
    if (left !== undefined) fail(`invariant ${MERGE_INVARIANT}: ${left}`);
    checkContent(oracle, operation, result);
  };
}
