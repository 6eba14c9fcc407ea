import { ESRCH } from './errno.js';
import type { MachineContext } from './machine_context.js';
import { resultOf } from './result.js';
import { mergeGivenPages } from './ksm/merge_given.js';
import { injectError } from './memory_failure/inject.js';
import { migrateMm, movePages } from './migrate/move_pages.js';
import type { Op } from './op/prims.js';
import type { Operation, OperationResult } from './operation.js';
import { reclaimGivenPages } from './reclaim/reclaim_given.js';
import { runLengthCode } from './run_length.js';
import { clearRefs } from './syscalls/clear_refs.js';
import { processMadvise } from './syscalls/process_madvise.js';

type ManagementOperation = Extract<
  Operation,
  {
    readonly op:
      | 'move_pages'
      | 'migrate_pages'
      | 'memory_failure'
      | 'soft_offline'
      | 'process_madvise'
      | 'clear_refs'
      | 'ksm_merge'
      | 'swap_out';
  }
>;

/** What administrators and monitors do with the memory of a process. */
export function* executeManagement(
  machine: MachineContext,
  operation: ManagementOperation,
): Op<OperationResult> {
  const { kernel, regionStart } = machine;
  const mm = kernel.processes.get(operation.p)?.mm;
  if (mm === undefined) return resultOf(-ESRCH);
  switch (operation.op) {
    case 'move_pages': {
      const at = operation.at + regionStart;
      const statuses: number[] = [];
      const movesShared = Boolean(operation.all);
      const { n, node } = operation;
      const result = yield* movePages(kernel, mm, at, n, node, movesShared, statuses);
      if (result < 0) return resultOf(result);
      return { ret: result, vals: runLengthCode(statuses) };
    }
    case 'migrate_pages': {
      const { from, to } = operation;
      return resultOf(yield* migrateMm(kernel, mm, from, to, Boolean(operation.all)));
    }
    case 'memory_failure':
    case 'soft_offline': {
      const at = operation.at + regionStart;
      const kind = operation.op === 'soft_offline' ? 'soft' : 'hard';
      return resultOf(yield* injectError(kernel, mm, at, operation.n, kind));
    }
    case 'process_madvise': {
      const target = kernel.processes.get(operation.q)?.mm;
      if (target === undefined) return resultOf(-ESRCH);
      const at = operation.at + regionStart;
      const { n, advice } = operation;
      return resultOf(yield* processMadvise(kernel, mm, target, at, n, advice));
    }
    case 'clear_refs':
      yield* clearRefs(kernel, mm, operation.what);
      return { ret: 0 };
    case 'ksm_merge': {
      const target = kernel.processes.get(operation.q)?.mm;
      if (target === undefined) return resultOf(-ESRCH);
      const at = operation.at + regionStart;
      return resultOf(yield* mergeGivenPages(kernel, mm, at, target, operation.to + regionStart));
    }
    case 'swap_out': {
      const at = operation.at + regionStart;
      return resultOf(yield* reclaimGivenPages(kernel, mm, at, at + operation.n));
    }
  }
}
