import { EINVAL, ESRCH } from './errno.js';
import type { MachineContext } from './machine_context.js';
import { resultOf } from './result.js';
import type { Op } from './op/prims.js';
import type { Operation, OperationResult } from './operation.js';
import { setMergeAny } from './ksm/prctl.js';
import { doBrk, setHeapStart } from './syscalls/brk.js';
import { doMadvise } from './syscalls/madvise.js';
import {
  MCL_CURRENT,
  MCL_FUTURE,
  MCL_ONFAULT,
  MAP_ANONYMOUS,
  parseMapFlags,
  parseMremapFlags,
  protBits,
} from './syscalls/map_flags.js';
import { doMlock, doMlockall, doMunlock, doMunlockall } from './syscalls/mlock.js';
import { doMmap } from './syscalls/mmap.js';
import { doMprotect } from './syscalls/mprotect.js';
import { doMremap } from './syscalls/mremap.js';
import { doMunmap } from './syscalls/munmap.js';
import { khugepagedScan } from './thp/collapse.js';
import type { Mm } from './vm/mm.js';

type MemoryOperation = Extract<
  Operation,
  {
    readonly op:
      | 'mmap'
      | 'munmap'
      | 'mprotect'
      | 'mremap'
      | 'madvise'
      | 'mlock'
      | 'munlock'
      | 'mlockall'
      | 'munlockall'
      | 'brk'
      | 'brk_at'
      | 'prctl_merge'
      | 'khugepaged';
  }
>;

/** System calls on the address space of one process. */
export function* executeMemoryOperation(
  machine: MachineContext,
  operation: MemoryOperation,
): Op<OperationResult> {
  // A file that was never created is an error of the scenario, whoever maps it.
  if (operation.op === 'mmap' && operation.file !== undefined) machine.file(operation.file);
  const process = machine.kernel.processes.get(operation.p);
  if (process === undefined) return resultOf(-ESRCH);
  return yield* executeOnMm(machine, process.mm, operation);
}

function* executeOnMm(
  machine: MachineContext,
  mm: Mm,
  operation: MemoryOperation,
): Op<OperationResult> {
  const { kernel, regionStart } = machine;
  switch (operation.op) {
    case 'mmap':
      return yield* mmap(machine, mm, operation);
    case 'munmap':
      return resultOf(yield* doMunmap(kernel, mm, operation.at + regionStart, operation.n));
    case 'mprotect': {
      const prot = protBits(operation.prot);
      const at = operation.at + regionStart;
      return resultOf(yield* doMprotect(kernel, mm, at, operation.n, prot));
    }
    case 'mremap': {
      const result = yield* doMremap(kernel, mm, {
        at: operation.at + regionStart,
        oldPages: operation.n,
        newPages: operation.new,
        flags: parseMremapFlags(operation.flags),
        to: (operation.to ?? 0) + regionStart,
      });
      return pageResult(machine, result);
    }
    case 'madvise': {
      const at = operation.at + regionStart;
      return resultOf(yield* doMadvise(kernel, mm, at, operation.n, operation.advice));
    }
    case 'mlock': {
      const at = operation.at + regionStart;
      return resultOf(yield* doMlock(kernel, mm, at, operation.n, Boolean(operation.onfault)));
    }
    case 'munlock':
      return resultOf(yield* doMunlock(kernel, mm, operation.at + regionStart, operation.n));
    case 'mlockall':
      return resultOf(yield* doMlockall(kernel, mm, mlockallFlags(operation.flags)));
    case 'munlockall':
      return resultOf(yield* doMunlockall(kernel, mm));
    case 'brk_at':
      setHeapStart(mm, operation.at + regionStart);
      if (operation.end !== undefined) mm.brk = operation.end + regionStart;
      return { ret: 0 };
    case 'brk':
      return pageResult(machine, yield* doBrk(kernel, mm, operation.at + regionStart));
    case 'prctl_merge':
      return resultOf(yield* setMergeAny(kernel, mm, operation.on !== 0));
    case 'khugepaged':
      return resultOf(yield* khugepagedScan(kernel, mm));
  }
}

function* mmap(
  machine: MachineContext,
  mm: Mm,
  operation: Extract<Operation, { readonly op: 'mmap' }>,
): Op<OperationResult> {
  const flags = parseMapFlags(operation.flags);
  const isAnonymous = (flags & MAP_ANONYMOUS) !== 0;
  if (!isAnonymous && operation.file === undefined) return resultOf(-EINVAL);
  const file =
    isAnonymous || operation.file === undefined ? undefined : machine.file(operation.file);
  const result = yield* doMmap(machine.kernel, mm, {
    at: operation.at === undefined ? undefined : operation.at + machine.regionStart,
    lengthPages: operation.n,
    prot: protBits(operation.prot),
    flags,
    file,
    pgoff: operation.off ?? 0,
  });
  return pageResult(machine, result);
}

/** A page number counts from the region start in results too. */
function pageResult(machine: MachineContext, value: number): OperationResult {
  return value < 0 ? resultOf(value) : { ret: value - machine.regionStart };
}

const MCL_WORDS: ReadonlyMap<string, number> = new Map([
  ['current', MCL_CURRENT],
  ['future', MCL_FUTURE],
  ['onfault', MCL_ONFAULT],
]);

function mlockallFlags(text: string): number {
  let flags = 0;
  for (const word of text.split('|')) flags |= MCL_WORDS.get(word) ?? 0;
  return flags;
}
