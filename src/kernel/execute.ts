import { RmapError } from '../base/errors.js';
import { PUD_ORDER } from '../base/units.js';
import { EINVAL, ENOMEM, ESRCH } from './errno.js';
import { executeMemoryOperation } from './execute_memory.js';
import { executeAccess } from './execute_access.js';
import { executeManagement } from './execute_management.js';
import { executeUffd } from './execute_uffd.js';
import { adviseFile } from './file/advise_file.js';
import { createMapping } from './file/page_cache.js';
import { readFile, writeFile } from './file/file_io.js';
import { punchHole, truncateFile } from './file/truncate.js';
import { setHugetlbPool } from './hugetlb/pool.js';
import { ksmScan, ksmUnmergeAll } from './ksm/scan.js';
import { setKsmKnob } from './ksm/knobs.js';
import type { MachineContext } from './machine_context.js';
import { resultOf } from './result.js';
import { compactMemory } from './migrate/compaction.js';
import type { Op } from './op/prims.js';
import type { Operation, OperationResult, PageValue } from './operation.js';
import { memcgForceEmpty, setMemcg } from './reclaim/memcg.js';
import { swapOff } from './swap/swapoff.js';
import { swapOn } from './swap/swapon.js';
import { inheritPages } from './syscalls/inherit.js';
import { cloneSharingMm, doExec, doExit, doFork } from './syscalls/process.js';
import { setThpKnob } from './thp/knobs.js';
import { runLengthCode } from './run_length.js';

const DONE: OperationResult = { ret: 0 };

/** Performs one operation; see `Machine.apply`. */
export function* execute(machine: MachineContext, operation: Operation): Op<OperationResult> {
  const { kernel } = machine;
  switch (operation.op) {
    case 'fork':
      if (!kernel.processes.has(operation.p)) return resultOf(-ESRCH);
      if (kernel.processes.has(operation.c)) {
        throw new RmapError('input', `process ${operation.c} exists already`);
      }
      return resultOf(yield* doFork(kernel, operation.p, operation.c));
    case 'vfork':
    case 'clone_vm':
      return resultOf(cloneSharingMm(kernel, operation.p, operation.c));
    case 'inherit': {
      const child = kernel.processes.get(operation.p)?.mm;
      const parent = kernel.processes.get(operation.q)?.mm;
      if (child === undefined || parent === undefined) return resultOf(-ESRCH);
      const at = operation.at + machine.regionStart;
      return resultOf(yield* inheritPages(kernel, child, parent, at, at + operation.n));
    }
    case 'exec':
      return resultOf(yield* doExec(kernel, operation.p));
    case 'exit':
      return resultOf(yield* doExit(kernel, operation.p));
    case 'file':
    case 'filewrite':
    case 'fileread':
    case 'ftruncate':
    case 'punch':
    case 'fadvise':
      return yield* executeFile(machine, operation);
    case 'config':
      setKnob(machine, operation.key, operation.value);
      return DONE;
    case 'ksm':
      yield* ksmScan(kernel, operation.scans);
      return DONE;
    case 'ksm_unmerge':
      yield* ksmUnmergeAll(kernel);
      return DONE;
    case 'swapon':
      return resultOf(swapOn(kernel, operation.kind ?? 'zram', operation.n));
    case 'swapoff':
      return resultOf(yield* swapOff(kernel));
    case 'memcg': {
      const process = kernel.processes.get(operation.p);
      if (process === undefined) return resultOf(-ESRCH);
      setMemcg(kernel, process.mm, operation.on !== 0);
      return DONE;
    }
    case 'reclaim':
      yield* memcgForceEmpty(kernel);
      return DONE;
    case 'dump':
    case 'drain':
    case 'sleep':
      return DONE;
    case 'read':
    case 'write':
    case 'fault':
    case 'pvm_write':
    case 'mem_write':
    case 'pin':
    case 'pin_read':
    case 'unpin':
    case 'vmsplice':
    case 'vmdrain':
      return yield* executeAccess(machine, operation);
    case 'uffd_register':
    case 'uffd_unregister':
    case 'uffd_wp':
    case 'uffd_copy':
    case 'uffd_zero':
    case 'uffd_move':
      return yield* executeUffd(machine, operation);
    case 'compact':
      yield* compactMemory(kernel);
      return DONE;
    case 'move_pages':
    case 'migrate_pages':
    case 'memory_failure':
    case 'soft_offline':
    case 'process_madvise':
    case 'clear_refs':
    case 'ksm_merge':
    case 'swap_out':
      return yield* executeManagement(machine, operation);
    default:
      return yield* executeMemoryOperation(machine, operation);
  }
}

type FileOperation = Extract<
  Operation,
  { readonly op: 'file' | 'filewrite' | 'fileread' | 'ftruncate' | 'punch' | 'fadvise' }
>;

function* executeFile(machine: MachineContext, operation: FileOperation): Op<OperationResult> {
  const { kernel } = machine;
  if (operation.op === 'file') {
    if (machine.files.has(operation.id)) {
      throw new RmapError('input', `file ${operation.id} exists already`);
    }
    const { kind } = operation;
    const isHugetlb = kind === 'memfd_hugetlb' || kind === 'memfd_hugetlb1g';
    const mapping = createMapping(kernel, isHugetlb ? 'hugetlb' : kind, operation.id, operation.n);
    if (kind === 'memfd_hugetlb1g') mapping.hugeOrder = PUD_ORDER;
    // The descriptor keeps the inode alive.
    mapping.users = 1;
    machine.files.set(operation.id, mapping);
    return DONE;
  }
  const mapping = machine.file(operation.file);
  if (operation.op === 'ftruncate') {
    yield* truncateFile(kernel, mapping, operation.n);
    return DONE;
  }
  if (operation.op === 'punch') {
    yield* punchHole(kernel, mapping, operation.at, operation.at + operation.n);
    return DONE;
  }
  if (operation.op === 'fadvise') {
    yield* adviseFile(kernel, mapping, operation.advice === 'noreuse');
    return DONE;
  }
  if (operation.op === 'filewrite') {
    if (mapping.kind === 'hugetlb') return resultOf(-EINVAL);
    const { at, n, v } = operation;
    return resultOf((yield* writeFile(kernel, mapping, at, n, v, 0)) ? 0 : -ENOMEM);
  }
  const read = readFile(kernel, mapping, operation.at, operation.n);
  const values: PageValue[] = read.map((value) => value ?? 0);
  const vals = runLengthCode(values);
  return read.includes(undefined) ? { ret: -1, err: '0', vals } : { ret: 0, vals };
}

/** Turns a knob; an unknown one is an input error. */
function setKnob(machine: MachineContext, key: string, value: string | number): void {
  const { kernel } = machine;
  if (setThpKnob(kernel, key, value) || setKsmKnob(kernel, key, value)) return;
  if (key === 'page_cluster') {
    kernel.knobs.pageCluster = Number(value);
  } else if (key === 'hugetlb') {
    setHugetlbPool(kernel, Number(value));
  } else if (key === 'hugetlb1g') {
    setHugetlbPool(kernel, Number(value), PUD_ORDER);
  } else {
    throw new RmapError('input', `unknown config key ${key}`);
  }
}
