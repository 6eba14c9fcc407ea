import { NIL, PMD_ORDER } from '../../base/units.js';
import { ENOMEM } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { folioPut } from '../phys/folio.js';
import type { AddressSpace } from '../vm/address_space.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';
import { VM_MAYSHARE, VM_NORESERVE } from '../vm/vm_flags.js';
import type { HugetlbPool } from './pool_state.js';

/** Order of the huge pages that a hugetlb VMA consists of. @kernel hstate_vma */
export function hugeOrderOf(vma: Vma): number {
  return vma.file?.mapping.hugeOrder ?? PMD_ORDER;
}

/** The pool that a hugetlb VMA allocates from. */
export function hugetlbPoolOf(kernel: Kernel, vma: Vma): HugetlbPool {
  return kernel.hugetlb.of(hugeOrderOf(vma));
}

/** Number of the huge page of the file at `vpn`. @kernel vma_hugecache_offset */
export function hugeIndex(vma: Vma, vpn: number): number {
  return Math.floor(linearPageIndex(vma, vpn) / 2 ** hugeOrderOf(vma));
}

/**
 * Promises a new mapping its pages: to the file for a shared one, to the mapping itself for a
 * private one, whose mm then is the owner. Nothing with MAP_NORESERVE. Returns 0, or -ENOMEM if
 * there are too few. @kernel hugetlb_reserve_pages
 */
export function hugetlbReserve(kernel: Kernel, vma: Vma): number {
  if ((vma.flags & VM_NORESERVE) !== 0) return 0;
  const pool = hugetlbPoolOf(kernel, vma);
  const wanted: number[] = [];
  const isShared = (vma.flags & VM_MAYSHARE) !== 0;
  const last = hugeIndex(vma, vma.end);
  for (let index = hugeIndex(vma, vma.start); index < last; index += 1) {
    if (!isShared || vma.file?.mapping.reserved.has(index) === false) wanted.push(index);
  }
  if (wanted.length > 0 && wanted.length > pool.available) return -ENOMEM;
  pool.reserved += wanted.length;
  if (isShared) {
    for (const index of wanted) vma.file?.mapping.reserved.add(index);
  } else {
    vma.ownsReservation = true;
    vma.reservedPages = new Set(wanted);
  }
  return 0;
}

/**
 * The owner gives up what it was promised in [start, end) and has not used. The promises of a
 * shared mapping are its file's and stay. @kernel hugetlb_vm_op_close
 */
export function hugetlbUnreserve(kernel: Kernel, vma: Vma, start: number, end: number): void {
  if (vma.reservedPages === undefined) return;
  const pool = hugetlbPoolOf(kernel, vma);
  const last = hugeIndex(vma, end);
  for (let index = hugeIndex(vma, start); index < last; index += 1) {
    if (vma.reservedPages.delete(index)) pool.reserved -= 1;
  }
}

/**
 * Takes a page for `vpn` from the pool: the promised one, or a free one beyond all promises.
 * `avoidsReserve` leaves the promises alone. Its contents are what the last user left. Returns the
 * head with one reference, or NIL. @kernel alloc_hugetlb_folio
 */
export function allocHugetlbFolio(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  avoidsReserve: boolean,
): number {
  const pool = hugetlbPoolOf(kernel, vma);
  const index = hugeIndex(vma, vpn);
  const promises = promisesOf(vma);
  const isPromised = !avoidsReserve && promises?.has(index) === true;
  if (!isPromised && pool.available <= 0) return NIL;
  const head = pool.free.pop();
  if (head === undefined) return NIL;
  if (isPromised) {
    pool.reserved -= 1;
    pool.restoresReserve.add(head);
  }
  if ((vma.flags & VM_MAYSHARE) !== 0) promises?.add(index);
  else if (!avoidsReserve) promises?.delete(index);
  kernel.memory.refcount[head] = 1;
  kernel.memory.memcg[head] = vma.mm.memcg;
  return head;
}

/**
 * Gives back a page that was taken for `vpn` and never mapped; a private owner is promised it again.
 * @kernel restore_reserve_on_error
 */
export function returnHugetlbFolio(kernel: Kernel, vma: Vma, vpn: number, head: number): void {
  if (hugetlbPoolOf(kernel, vma).restoresReserve.has(head)) {
    promisesOf(vma)?.add(hugeIndex(vma, vpn));
  }
  folioPut(kernel, head);
}

/**
 * The huge pages that a mapping was promised. A shared one's file also keeps those that are
 * allocated, a private owner's set does not; a fork child has none. @kernel vma_resv_map
 */
function promisesOf(vma: Vma): Set<number> | undefined {
  return (vma.flags & VM_MAYSHARE) !== 0 ? vma.file?.mapping.reserved : vma.reservedPages;
}

/** A file loses the promises for huge pages [first, end), `freed` of which were allocated. */
export function unreserveFile(
  kernel: Kernel,
  mapping: AddressSpace,
  first: number,
  end: number,
  freed: number,
): void {
  let removed = 0;
  for (const index of mapping.reserved) {
    if (index < first || index >= end) continue;
    mapping.reserved.delete(index);
    removed += 1;
  }
  kernel.hugetlb.of(mapping.hugeOrder).reserved -= Math.max(0, removed - freed);
}
