import { RmapError } from '../base/errors.js';
import { execute } from './execute.js';
import { Kernel } from './kernel.js';
import { runToEnd, type Op } from './op/prims.js';
import type { MachineContext } from './machine_context.js';
import type { FileId, Operation, OperationResult } from './operation.js';
import { drainMlock } from './phys/mlock.js';
import { DEFAULT_PROFILE, type Profile } from './profile.js';
import { canonicalState } from './state/canonical_state.js';
import { fingerprintKernel } from './state/fingerprint.js';
import type { MachineState } from './state/state_types.js';
import { createProcess } from './syscalls/process.js';
import type { AddressSpace } from './vm/address_space.js';

export interface MachineOptions {
  /** Build options and size; missing ones are those of `DEFAULT_PROFILE`. */
  readonly profile?: Partial<Profile>;
  /** Page from which addresses in operations and states count; default 0. */
  readonly regionStart?: number;
}

/**
 * One simulated machine: physical memory, processes and everything between them. `apply` is the
 * only way to change it; the same operations give the same state and the same fingerprint.
 * Process 0 exists from the start.
 */
export class Machine implements MachineContext {
  readonly kernel: Kernel;
  readonly regionStart: number;
  /** Files made by `file` operations. */
  readonly files = new Map<FileId, AddressSpace>();

  constructor(options: MachineOptions = {}) {
    this.kernel = new Kernel({ ...DEFAULT_PROFILE, ...options.profile });
    this.regionStart = options.regionStart ?? 0;
    createProcess(this.kernel, 0);
  }

  /**
   * Performs one operation to its end. What Linux answers with an errno is in the result; an
   * operation that makes no sense (an unknown file, say) throws RmapError `input`.
   */
  apply(operation: Operation): OperationResult {
    return runToEnd(this.applyOp(operation));
  }

  /** The same with every point declared, for schedulers. */
  *applyOp(operation: Operation): Op<OperationResult> {
    const result = yield* execute(this, operation);
    drainMlock(this.kernel);
    return result;
  }

  /** The machine as a dump of Linux's structures would show it. */
  state(label = 'final', operationNumber = 0): MachineState {
    return canonicalState(this.kernel, label, operationNumber, this.regionStart);
  }

  /** Hash of everything observable: equal in both builds, in every process and in the browser. */
  fingerprint(): string {
    return fingerprintKernel(this.kernel);
  }

  /** The file with this name, or an input error. */
  file(id: FileId): AddressSpace {
    const mapping = this.files.get(id);
    if (mapping === undefined) throw new RmapError('input', `file ${id} was never created`);
    return mapping;
  }
}
