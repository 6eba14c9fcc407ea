import { RmapError } from '../base/errors.js';
import { ESRCH } from './errno.js';
import type { MachineContext } from './machine_context.js';
import { resultOf } from './result.js';
import type { Op } from './op/prims.js';
import type { Operation, OperationResult } from './operation.js';
import { parseUffdFeatures } from './uffd/context.js';
import { uffdioFill } from './uffd/copy.js';
import { moveOnce } from './uffd/move_once.js';
import { uffdRegister, uffdUnregister } from './uffd/register.js';
import { uffdWriteProtect } from './uffd/write_protect.js';
import { VM_UFFD_MISSING, VM_UFFD_WP } from './vm/vm_flags.js';

type UffdOperation = Extract<
  Operation,
  {
    readonly op:
      | 'uffd_register'
      | 'uffd_unregister'
      | 'uffd_wp'
      | 'uffd_copy'
      | 'uffd_zero'
      | 'uffd_move';
  }
>;

/** What a process does with its userfaultfd. */
export function* executeUffd(
  machine: MachineContext,
  operation: UffdOperation,
): Op<OperationResult> {
  const { kernel, regionStart } = machine;
  const mm = kernel.processes.get(operation.p)?.mm;
  if (mm === undefined) return resultOf(-ESRCH);
  const { n } = operation;
  const at = operation.at + regionStart;
  switch (operation.op) {
    case 'uffd_register': {
      const { features } = operation;
      const context = features === undefined ? undefined : parseUffdFeatures(features);
      return resultOf(
        yield* uffdRegister(kernel, mm, at, n, registerMode(operation.mode), context),
      );
    }
    case 'uffd_unregister':
      return resultOf(yield* uffdUnregister(kernel, mm, at, n));
    case 'uffd_wp':
      return resultOf(yield* uffdWriteProtect(kernel, mm, at, n, operation.on !== 0));
    case 'uffd_copy': {
      const fill = { value: operation.v, isProtected: Boolean(operation.wp) };
      return resultOf(yield* uffdioFill(kernel, mm, at, n, fill));
    }
    case 'uffd_zero': {
      const fill = { value: undefined, isProtected: false };
      return resultOf(yield* uffdioFill(kernel, mm, at, n, fill));
    }
    case 'uffd_move': {
      const to = operation.to + regionStart;
      const allowsHoles = Boolean(operation.allow_holes);
      return resultOf(yield* moveOnce(kernel, mm, at, n, to, allowsHoles));
    }
  }
}

function registerMode(text: string): number {
  let mode = 0;
  for (const word of text.split('|')) {
    if (word === 'missing') mode |= VM_UFFD_MISSING;
    else if (word === 'wp') mode |= VM_UFFD_WP;
    else throw new RmapError('input', `unknown userfaultfd mode ${word}, expected missing wp`);
  }
  return mode;
}
