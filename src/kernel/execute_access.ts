import { ENOENT, ESRCH } from './errno.js';
import {
  procMemWrite,
  processVmWrite,
  userAccess,
  userFault,
  type FaultCounts,
} from './fault/access.js';
import { writeRun, type WriteRun } from './fault/write_run.js';
import { VM_FAULT_ERROR, VM_FAULT_SIGBUS, VM_FAULT_USERFAULT } from './fault/fault_flags.js';
import type { MachineContext } from './machine_context.js';
import { resultOf } from './result.js';
import type { Op } from './op/prims.js';
import type { Operation, OperationResult, PageValue } from './operation.js';
import { runLengthCode } from './run_length.js';
import { drainPipe, pinPages, splicePages, unpinPages } from './syscalls/page_holders.js';
import type { Mm } from './vm/mm.js';

type AccessOperation = Extract<
  Operation,
  {
    readonly op:
      | 'read'
      | 'write'
      | 'fault'
      | 'pvm_write'
      | 'mem_write'
      | 'pin'
      | 'pin_read'
      | 'unpin'
      | 'vmsplice'
      | 'vmdrain';
  }
>;

/** One object for all faults that succeed: a replay makes millions. */
const FAULT_DONE: OperationResult = { ret: 0 };

/** Operations that touch the contents of pages. */
export function* executeAccess(
  machine: MachineContext,
  operation: AccessOperation,
): Op<OperationResult> {
  const { kernel } = machine;
  const process = kernel.processes.get(operation.p);
  if (process === undefined) return resultOf(-ESRCH);
  const { mm } = process;
  switch (operation.op) {
    case 'read':
      return yield* readPages(machine, mm, operation.at + machine.regionStart, operation.n);
    case 'write': {
      const at = operation.at + machine.regionStart;
      return yield* writePages(machine, mm, at, operation.n, operation.v);
    }
    case 'fault': {
      const at = operation.at + machine.regionStart;
      const result = yield* userFault(kernel, mm, at, operation.write !== 0);
      if ((result & VM_FAULT_ERROR) === 0) return FAULT_DONE;
      if ((result & VM_FAULT_USERFAULT) !== 0) return { ret: -1, err: 'UFFD' };
      return { ret: -1, err: (result & VM_FAULT_SIGBUS) === 0 ? 'SEGV' : 'BUS' };
    }
    case 'mem_write': {
      const at = operation.at + machine.regionStart;
      return resultOf(yield* procMemWrite(kernel, mm, at, operation.n, operation.v));
    }
    case 'pvm_write': {
      const target = kernel.processes.get(operation.q);
      if (target === undefined) return resultOf(-ESRCH);
      const at = operation.at + machine.regionStart;
      return resultOf(yield* processVmWrite(kernel, target.mm, at, operation.n, operation.v));
    }
    case 'pin': {
      const at = operation.at + machine.regionStart;
      return resultOf(yield* pinPages(kernel, operation.p, at, operation.n, operation.id));
    }
    case 'pin_read': {
      const at = operation.at + machine.regionStart;
      const mode = operation.fast !== 0 ? 'readFast' : 'readSlow';
      return resultOf(yield* pinPages(kernel, operation.p, at, operation.n, operation.id, mode));
    }
    case 'unpin':
      return resultOf(unpinPages(kernel, operation.p, operation.id));
    case 'vmsplice': {
      const at = operation.at + machine.regionStart;
      return resultOf(yield* splicePages(kernel, operation.p, at, operation.n, operation.id));
    }
    case 'vmdrain': {
      const values = drainPipe(kernel, operation.p, operation.id, operation.n);
      return values === undefined ? resultOf(-ENOENT) : { ret: 0, vals: runLengthCode(values) };
    }
  }
}

/** Reads the first word of each page; a page that raises a signal gives its name. */
function* readPages(
  machine: MachineContext,
  mm: Mm,
  vpn: number,
  count: number,
): Op<OperationResult> {
  const counts: FaultCounts = { minor: 0, major: 0 };
  const values: PageValue[] = [];
  for (let i = 0; i < count; i += 1) {
    const page = yield* userAccess(machine.kernel, mm, vpn + i, false, counts);
    values.push(typeof page === 'number' ? machine.kernel.memory.content[page] : page);
  }
  return { ret: 0, flt: counts.minor, maj: counts.major, vals: runLengthCode(values) };
}

/** Writes the first word of each page; values are reported only if a signal was raised. */
function* writePages(
  machine: MachineContext,
  mm: Mm,
  vpn: number,
  count: number,
  value: number,
): Op<OperationResult> {
  const counts: FaultCounts = { minor: 0, major: 0 };
  const { kernel } = machine;
  const run: WriteRun = { pages: 0, faults: 0 };
  let signals: PageValue[] | undefined = undefined;
  for (let i = 0; i < count; i += 1) {
    if (count - i > 1) {
      writeRun(kernel, mm, vpn + i, count - i, value, run);
      counts.minor += run.faults;
      i += run.pages;
      if (i === count) break;
    }
    const page = yield* userAccess(kernel, mm, vpn + i, true, counts);
    if (typeof page === 'number') {
      kernel.memory.content[page] = value;
    } else {
      signals ??= new Array<PageValue>(count).fill(0);
      signals[i] = page;
    }
  }
  const result = { ret: 0, flt: counts.minor, maj: counts.major };
  return signals === undefined ? result : { ...result, vals: runLengthCode(signals) };
}
