import { EINVAL, ENOMEM, ESRCH } from '../errno.js';
import { FOLL_GET, FOLL_PIN } from '../fault/gup_flags.js';
import { gupPutFolio } from '../fault/gup_grab.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { type PageHolder, Process } from '../process.js';
import type { AddressSpace } from '../vm/address_space.js';
import { createMm, exitMmap, forkMm, hasFreeMmId, putFiles } from './fork.js';

/** The first process; processes made later come from fork. */
export function createProcess(kernel: Kernel, id: number): Process {
  const process = new Process(id, createMm(kernel, id));
  kernel.processes.set(id, process);
  return process;
}

/** fork(2): a new process with a copy of everything. Returns 0 or a negative errno. */
export function* doFork(kernel: Kernel, parentId: number, childId: number): Op<number> {
  const parent = kernel.processes.get(parentId);
  if (parent === undefined) return -ESRCH;
  if (kernel.processes.has(childId)) return -EINVAL;
  const mm = yield* forkMm(kernel, parent.mm, childId);
  if (typeof mm === 'number') return mm;
  addChild(kernel, parent, childId, mm);
  return 0;
}

/**
 * clone(CLONE_VM) or vfork(2): the child uses the parent's address space until it exits or execs.
 */
export function cloneSharingMm(kernel: Kernel, parentId: number, childId: number): number {
  const parent = kernel.processes.get(parentId);
  if (parent === undefined) return -ESRCH;
  if (kernel.processes.has(childId)) return -EINVAL;
  parent.mm.users += 1;
  addChild(kernel, parent, childId, parent.mm);
  return 0;
}

function addChild(kernel: Kernel, parent: Process, id: number, mm: Process['mm']): void {
  const child = new Process(id, mm, parent);
  for (const holder of child.pipes.values()) holder.descriptors += 1;
  for (const holder of child.rings.values()) holder.descriptors += 1;
  kernel.processes.set(id, child);
}

/**
 * The process ends: its address space goes with the last user, its descriptors are closed.
 * @kernel do_exit
 */
export function* doExit(kernel: Kernel, id: number): Op<number> {
  const process = kernel.processes.get(id);
  if (process === undefined) return 0;
  kernel.processes.delete(id);
  const files = yield* dropMm(kernel, process);
  for (const key of lastClosedFirst(process.pipes)) closePipe(kernel, process, key);
  // What was unmapped came before all descriptors, so it is let go of behind them.
  yield* putFiles(kernel, files);
  for (const key of lastClosedFirst(process.rings)) closeRing(kernel, process, key);
  return 0;
}

/**
 * Descriptors are closed by ascending number, but what they held is let go of only when all are
 * closed, the last one first.
 */
function lastClosedFirst(holders: ReadonlyMap<number, PageHolder>): number[] {
  const first = ([, { numbers }]: readonly [number, PageHolder]): number => numbers[0] ?? 0;
  return [...holders].toSorted((a, b) => first(b) - first(a)).map(([key]) => key);
}

/** execve(2): a new, empty address space; descriptors stay. @kernel exec_mmap */
export function* doExec(kernel: Kernel, id: number): Op<number> {
  const process = kernel.processes.get(id);
  if (process === undefined) return -ESRCH;
  if (!hasFreeMmId(kernel)) return -ENOMEM;
  const old = process.mm;
  process.mm = createMm(kernel, id);
  process.mm.memcg = old.memcg;
  old.users -= 1;
  if (old.users === 0) yield* putFiles(kernel, yield* exitMmap(kernel, old));
  return 0;
}

/** Returns the files that the address space mapped, if this was its last user. */
function* dropMm(kernel: Kernel, process: Process): Op<AddressSpace[]> {
  process.mm.users -= 1;
  return process.mm.users === 0 ? yield* exitMmap(kernel, process.mm) : [];
}

/** Closes this process's ends of a pipe; the last end drops the pages in it. */
export function closePipe(kernel: Kernel, process: Process, key: number): void {
  const holder = process.pipes.get(key);
  if (holder === undefined) return;
  process.pipes.delete(key);
  holder.descriptors -= 1;
  if (holder.descriptors === 0) releaseSpliced(kernel, holder);
}

function releaseSpliced(kernel: Kernel, holder: PageHolder): void {
  for (const pfn of holder.pfns) gupPutFolio(kernel, kernel.memory.folioOf(pfn), 1, FOLL_GET);
  holder.pfns.length = 0;
}

/** Closes this process's ring; the last descriptor unpins the buffer. */
function closeRing(kernel: Kernel, process: Process, key: number): void {
  const holder = process.rings.get(key);
  if (holder === undefined) return;
  process.rings.delete(key);
  holder.descriptors -= 1;
  if (holder.descriptors === 0) releasePins(kernel, holder);
}

/** Drops the pins of a ring. */
export function releasePins(kernel: Kernel, holder: PageHolder): void {
  for (const { head, count } of holder.pins) gupPutFolio(kernel, head, count, FOLL_PIN);
  holder.pins.length = 0;
}
