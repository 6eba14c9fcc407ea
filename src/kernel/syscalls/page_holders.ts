import { NIL } from '../../base/units.js';
import { EAGAIN, EFAULT, ENOENT, ESRCH } from '../errno.js';
import { FOLL_GET, FOLL_LONGTERM, FOLL_PIN, FOLL_TOUCH, FOLL_WRITE } from '../fault/gup_flags.js';
import { gupFast } from '../fault/gup_fast.js';
import { getUserPage } from '../fault/gup.js';
import { gupPutFolio } from '../fault/gup_grab.js';
import type { Kernel } from '../kernel.js';
import { downRead, upRead, type Op } from '../op/prims.js';
import { folioPageCount } from '../phys/folio.js';
import { PageHolder } from '../process.js';
import type { Mm } from '../vm/mm.js';
import { closePipe, releasePins } from './process.js';

/**
 * Gets pages without locks as far as possible and the rest with faults. Returns how many were
 * appended to `pfns`: all, or those before the first that failed. @kernel get_user_pages_fast
 */
function* getUserPagesFast(
  kernel: Kernel,
  mm: Mm,
  vpn: number,
  count: number,
  flags: number,
  pfns: number[],
): Op<number> {
  const done = yield* gupFast(kernel, mm, vpn, count, flags, pfns);
  if (done === count) return done;
  return yield* getUserPagesSlow(kernel, mm, vpn, count, flags, pfns, done);
}

/** Gets the pages from `first` on under the mmap lock; returns how many there are in all. */
function* getUserPagesSlow(
  kernel: Kernel,
  mm: Mm,
  vpn: number,
  count: number,
  flags: number,
  pfns: number[],
  first: number,
): Op<number> {
  let done = first;
  yield* downRead(mm.mmapLock);
  while (done < count) {
    const pfn = yield* getUserPage(kernel, mm, vpn + done, flags | FOLL_TOUCH);
    if (pfn < 0) break;
    pfns.push(pfn);
    done += 1;
  }
  yield* upRead(mm.mmapLock);
  return done;
}

/** A pin for reading and writing, or for reading only through one of the two paths. */
export type PinMode = 'write' | 'readSlow' | 'readFast';

/**
 * Registers pages as an io_uring fixed buffer: long-term write pins, one for each run of pages of
 * a folio. All pages or none (spec 97 §7, 98 §8.1). Returns 0 or a negative errno.
 */
export function* pinPages(
  kernel: Kernel,
  processId: number,
  vpn: number,
  count: number,
  key: number,
  mode: PinMode = 'write',
): Op<number> {
  const process = kernel.processes.get(processId);
  if (process === undefined) return -ESRCH;
  const flags = FOLL_PIN | FOLL_LONGTERM | (mode === 'write' ? FOLL_WRITE : 0);
  const pfns: number[] = [];
  const { memory } = kernel;
  const done =
    mode === 'readSlow'
      ? yield* getUserPagesSlow(kernel, process.mm, vpn, count, flags, pfns, 0)
      : yield* getUserPagesFast(kernel, process.mm, vpn, count, flags, pfns);
  if (done < count) {
    for (const pfn of pfns) gupPutFolio(kernel, memory.folioOf(pfn), 1, flags);
    return -EFAULT;
  }
  const holder = new PageHolder(process.lowestDescriptors(1));
  for (const pfn of pfns) holder.pfns.push(pfn);
  const coalesces = canCoalesce(kernel, pfns);
  let previous = -2;
  for (const pfn of pfns) {
    const head = memory.folioOf(pfn);
    const last = holder.pins[holder.pins.length - 1];
    if (coalesces && last?.head === head && pfn === previous + 1) {
      // The ring keeps one pin for all pages of one folio.
      gupPutFolio(kernel, head, 1, flags);
    } else {
      holder.pins.push({ head, count: 1 });
    }
    previous = pfn;
  }
  const old = process.rings.get(key);
  if (old !== undefined) unpinPages(kernel, processId, key);
  process.rings.set(key, holder);
  return 0;
}

/**
 * Whether a ring drops all pins but one a folio: its folios must be of one size, the buffer may
 * start inside the first and end inside the last, and has all pages of those between, in order.
 * @kernel io_check_coalesce_buffer
 */
function canCoalesce(kernel: Kernel, pfns: readonly number[]): boolean {
  const { memory } = kernel;
  const first = memory.folioOf(pfns[0] ?? NIL);
  const size = folioPageCount(kernel, first);
  let head = first;
  for (let i = 1; i < pfns.length; i += 1) {
    const [before, pfn] = [pfns[i - 1], pfns[i]];
    if (memory.folioOf(pfn) === head && pfn === before + 1) continue;
    // Another folio: the one before was left at its end, this one is entered at its start.
    if (before !== head + size - 1 || memory.folioOf(pfn) !== pfn) return false;
    if (folioPageCount(kernel, pfn) !== size) return false;
    head = pfn;
  }
  return true;
}

/** Unregisters the buffer, for every process that shares the ring; -ENOENT without one. */
export function unpinPages(kernel: Kernel, processId: number, key: number): number {
  const process = kernel.processes.get(processId);
  if (process === undefined) return -ESRCH;
  const holder = process.rings.get(key);
  if (holder === undefined) return -ENOENT;
  releasePins(kernel, holder);
  holder.pfns.length = 0;
  process.rings.delete(key);
  holder.descriptors -= 1;
  return 0;
}

/** What a pinned buffer holds now, page by page: what a device would read. */
export function readPinned(kernel: Kernel, processId: number, key: number): number[] {
  const holder = kernel.processes.get(processId)?.rings.get(key);
  return holder === undefined ? [] : holder.pfns.map((pfn) => kernel.memory.content[pfn]);
}

/** Pages that a pipe of default size holds. @kernel PIPE_DEF_BUFFERS */
const PIPE_PAGES = 16;

/**
 * vmsplice(2): puts references to pages into a pipe without copying, without waiting for room.
 * Pages are got in rounds, each of which may end early and tries the fast path first. Returns the
 * number of pages taken, -EAGAIN if the pipe is full, or -EFAULT if there is no page.
 * @kernel iter_to_pipe
 */
export function* splicePages(
  kernel: Kernel,
  processId: number,
  vpn: number,
  count: number,
  key: number,
): Op<number> {
  const process = kernel.processes.get(processId);
  if (process === undefined) return -ESRCH;
  const old = process.pipes.get(key);
  if (old !== undefined && old.pfns.length >= PIPE_PAGES) return -EAGAIN;
  const room = PIPE_PAGES - (old?.pfns.length ?? 0);
  const pfns: number[] = [];
  while (pfns.length < Math.min(room, count)) {
    const got: number[] = [];
    const wanted = Math.min(count - pfns.length, PIPE_PAGES);
    const at = vpn + pfns.length;
    if ((yield* getUserPagesFast(kernel, process.mm, at, wanted, FOLL_GET, got)) <= 0) break;
    const kept = Math.min(got.length, room - pfns.length);
    for (const pfn of got.slice(0, kept)) pfns.push(pfn);
    // These were touched all the same.
    for (const pfn of got.slice(kept)) {
      gupPutFolio(kernel, kernel.memory.folioOf(pfn), 1, FOLL_GET);
    }
  }
  if (pfns.length === 0) return -EFAULT;
  let holder = old;
  if (holder === undefined) {
    holder = new PageHolder(process.lowestDescriptors(2));
    process.pipes.set(key, holder);
  }
  for (const pfn of pfns) holder.pfns.push(pfn);
  return pfns.length;
}

/**
 * Reads up to `count` pages out of the pipe, as they are now, and closes the process's ends;
 * undefined without a pipe of this name.
 */
export function drainPipe(
  kernel: Kernel,
  processId: number,
  key: number,
  count: number,
): number[] | undefined {
  const process = kernel.processes.get(processId);
  const holder = process?.pipes.get(key);
  if (process === undefined || holder === undefined) return undefined;
  const read = holder.pfns.splice(0, count);
  const values = read.map((pfn) => kernel.memory.content[pfn]);
  for (const pfn of read) gupPutFolio(kernel, kernel.memory.folioOf(pfn), 1, FOLL_GET);
  closePipe(kernel, process, key);
  return values;
}
