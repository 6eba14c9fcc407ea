import { NIL } from '../../base/units.js';
import { EACCES, EBUSY, EFAULT, EINVAL, ENODEV, ENOENT } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { downRead, upRead, type Op } from '../op/prims.js';
import { folioMaybeMappedShared } from '../phys/folio.js';
import { drainMlock } from '../phys/mlock.js';
import { PG_ZERO } from '../phys/page_flags.js';
import { PTE_PRESENT } from '../pgtable/pte.js';
import { findVma, type Mm } from '../vm/mm.js';
import { VM_IO, VM_PFNMAP } from '../vm/vm_flags.js';
import { nodeAllocator, nodeCount, nodeOfPage } from './numa_node.js';
import { migratePages, tryIsolate } from './migrate_pages.js';

/**
 * move_pages(2): moves the pages of a range to a node. Fills `statuses` with the node where each
 * page is afterwards, or a negative errno. Returns the number of folios that could not be moved,
 * or a negative errno. @kernel do_pages_move
 *
 * @param movesShared MPOL_MF_MOVE_ALL: also folios that other address spaces may map.
 */
export function* movePages(
  kernel: Kernel,
  mm: Mm,
  at: number,
  lengthPages: number,
  node: number,
  movesShared: boolean,
  statuses: number[],
): Op<number> {
  if (node < 0 || node >= nodeCount(kernel)) return -ENODEV;
  drainMlock(kernel);
  const queued: number[] = [];
  const isQueued: boolean[] = [];
  const allocate = nodeAllocator(kernel, node);
  const isOnNode = (pfn: number): boolean => nodeOfPage(kernel, pfn) === node;
  let failedCount = 0;
  for (let i = 0; i < lengthPages; i += 1) {
    const result = yield* queuePage(kernel, mm, at + i, node, movesShared, queued);
    isQueued.push(result === QUEUED);
    statuses.push(result === QUEUED ? node : result);
    if (result === QUEUED) continue;
    // What was queued so far moves before the next page is looked at.
    failedCount += yield* migratePages(kernel, queued.splice(0), allocate, 'syscall', isOnNode);
  }
  failedCount += yield* migratePages(kernel, queued, allocate, 'syscall', isOnNode);
  for (let i = 0; i < lengthPages; i += 1) {
    if (!isQueued[i]) continue;
    const page = mappedPage(kernel, mm, at + i);
    statuses[i] = page === NIL ? -ENOENT : nodeOfPage(kernel, page);
  }
  return failedCount;
}

const QUEUED = Number.MAX_SAFE_INTEGER;

/** Isolates the folio of a page; else its node or why not. @kernel add_folio_for_migration */
function* queuePage(
  kernel: Kernel,
  mm: Mm,
  vpn: number,
  node: number,
  movesShared: boolean,
  queue: number[],
): Op<number> {
  yield* downRead(mm.mmapLock);
  const vma = findVma(mm, vpn);
  let result = -EFAULT;
  if (vma !== undefined && (vma.flags & (VM_IO | VM_PFNMAP)) === 0) {
    const page = mappedPage(kernel, mm, vpn);
    result = page === NIL ? -ENOENT : isolateForMove(kernel, page, node, movesShared, queue);
  }
  yield* upRead(mm.mmapLock);
  return result;
}

function isolateForMove(
  kernel: Kernel,
  page: number,
  node: number,
  movesShared: boolean,
  queue: number[],
): number {
  const { memory } = kernel;
  const head = memory.folioOf(page);
  if ((memory.flags[head] & PG_ZERO) !== 0) return -EFAULT;
  if (nodeOfPage(kernel, page) === node) return node;
  if (!movesShared && folioMaybeMappedShared(kernel, head)) return -EACCES;
  if (!tryIsolate(kernel, head)) return -EBUSY;
  queue.push(head);
  return QUEUED;
}

/** The page that `vpn` maps by an entry of any level, the zero pages included, or NIL. */
function mappedPage(kernel: Kernel, mm: Mm, vpn: number): number {
  const { pageTables } = kernel;
  const entry = pageTables.findLeaf(mm.pgd, vpn);
  if (entry === NIL || (pageTables.flags[entry] & PTE_PRESENT) === 0) return NIL;
  return pageTables.pageOfLeaf(mm.pgd, entry, vpn);
}

/**
 * migrate_pages(2): moves everything that the address space maps on node `from` to node `to`.
 * Returns the number of folios that could not be moved, or a negative errno.
 * @kernel do_migrate_pages
 */
export function* migrateMm(
  kernel: Kernel,
  mm: Mm,
  from: number,
  to: number,
  movesShared: boolean,
): Op<number> {
  const nodes = nodeCount(kernel);
  if (from < 0 || to < 0 || from >= nodes || to >= nodes) return -EINVAL;
  drainMlock(kernel);
  const queue: number[] = [];
  yield* downRead(mm.mmapLock);
  for (let index = 0; index < mm.vmas.length; index += 1) {
    const vma = mm.vmas[index];
    if ((vma.flags & (VM_IO | VM_PFNMAP)) !== 0) continue;
    for (let vpn = vma.start; vpn < vma.end; vpn += 1) {
      const page = mappedPage(kernel, mm, vpn);
      if (page === NIL || nodeOfPage(kernel, page) !== from) continue;
      isolateForMove(kernel, page, to, movesShared, queue);
    }
  }
  yield* upRead(mm.mmapLock);
  const isOnNode = (pfn: number): boolean => nodeOfPage(kernel, pfn) === to;
  return yield* migratePages(kernel, queue, nodeAllocator(kernel, to), 'syscall', isOnNode);
}
