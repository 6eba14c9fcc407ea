import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { folioAlloc, folioGet, folioOrder, folioPut } from '../phys/folio.js';
import { PG_HUGETLB, PG_ISOLATED } from '../phys/page_flags.js';
import { migrateFolio, type MigrateReason } from '../migrate/migrate_folio.js';

/** Takes a used huge page for migration, with a reference. @kernel folio_isolate_hugetlb */
export function isolateHugetlb(kernel: Kernel, head: number): boolean {
  const { flags } = kernel.memory;
  if ((flags[head] & PG_ISOLATED) !== 0) return false;
  flags[head] |= PG_ISOLATED;
  folioGet(kernel, head);
  return true;
}

/** Gives a huge page back that did not move. @kernel folio_putback_hugetlb */
export function putbackHugetlb(kernel: Kernel, head: number): void {
  kernel.memory.flags[head] &= ~PG_ISOLATED;
  folioPut(kernel, head);
}

/**
 * Moves an isolated huge page to the node whose free blocks `allocate` takes: to a free page of
 * the pool there that nobody was promised, else to a new one, and then the old one leaves the pool.
 * Returns whether it moved; if not, it is put back. @kernel unmap_and_move_huge_page
 */
export function* migrateHugetlb(
  kernel: Kernel,
  head: number,
  allocate: (order: number) => number,
  isOnNode: (pfn: number) => boolean,
  reason: MigrateReason,
): Op<boolean> {
  const pool = kernel.hugetlb.of(folioOrder(kernel, head));
  let target = takeFreePage(kernel, pool.order, isOnNode);
  const isNew = target === NIL;
  if (isNew) target = newPage(kernel, pool.order, allocate);
  const failed = target === NIL ? 1 : yield* moveWithTemporary(kernel, head, target, isNew, reason);
  if (failed === 0) return true;
  putbackHugetlb(kernel, head);
  return false;
}

function* moveWithTemporary(
  kernel: Kernel,
  head: number,
  target: number,
  isNew: boolean,
  reason: MigrateReason,
): Op<number> {
  const pool = kernel.hugetlb.of(folioOrder(kernel, head));
  // One of the two leaves the pool when it is freed, so that its size stays.
  if (isNew) pool.temporary.add(head);
  const failed = yield* migrateFolio(kernel, head, target, reason);
  if (failed === 0) return 0;
  if (isNew) {
    pool.temporary.delete(head);
    pool.temporary.add(target);
  }
  folioPut(kernel, target);
  return failed;
}

function takeFreePage(kernel: Kernel, order: number, isOnNode: (pfn: number) => boolean): number {
  const pool = kernel.hugetlb.of(order);
  if (pool.available <= 0) return NIL;
  const at = pool.free.findLastIndex((head) => isOnNode(head));
  if (at < 0) return NIL;
  const [head] = pool.free.splice(at, 1);
  kernel.memory.refcount[head] = 1;
  return head;
}

/** @kernel alloc_migrate_hugetlb_folio */
function newPage(kernel: Kernel, order: number, allocate: (order: number) => number): number {
  const block = allocate(order);
  if (block === NIL) return NIL;
  const head = folioAlloc(kernel, order, 0, block);
  kernel.memory.flags[head] |= PG_HUGETLB;
  return head;
}
