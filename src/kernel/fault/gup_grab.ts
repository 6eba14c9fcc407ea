import type { Kernel } from '../kernel.js';
import { folioPut, GUP_PIN_COUNTING_BIAS, isAnonFolio, largeRow } from '../phys/folio.js';
import { PG_ANON_EXCLUSIVE, PG_HEAD, PG_TAIL, PG_ZERO } from '../phys/page_flags.js';
import { PTE_UFFD_WP } from '../pgtable/pte.js';
import type { Vma } from '../vm/vma.js';
import { isCowMapping, VM_SHARED, VM_WRITE } from '../vm/vm_flags.js';
import { FOLL_FORCE, FOLL_GET, FOLL_LONGTERM, FOLL_PIN, FOLL_WRITE } from './gup_flags.js';

/**
 * Takes `count` references or pins on a folio (spec 30 §5.4): a small one is pinned by 1024
 * references, a large one by a reference and a pincount each; zero pages need nothing.
 * @kernel try_grab_folio
 */
export function tryGrabFolio(kernel: Kernel, head: number, count: number, flags: number): void {
  const { memory } = kernel;
  if ((memory.flags[head] & PG_ZERO) !== 0) return;
  if ((flags & FOLL_GET) !== 0) {
    memory.refcount[head] += count;
  } else if ((flags & FOLL_PIN) !== 0) {
    if ((memory.flags[head] & PG_HEAD) === 0) {
      memory.refcount[head] += count * GUP_PIN_COUNTING_BIAS;
    } else {
      memory.refcount[head] += count;
      kernel.large.pincount[largeRow(kernel, head)] += count;
    }
  }
}

/** Gives back what `tryGrabFolio` took. @kernel gup_put_folio */
export function gupPutFolio(kernel: Kernel, head: number, count: number, flags: number): void {
  const { memory } = kernel;
  if ((memory.flags[head] & PG_ZERO) !== 0) return;
  if ((flags & FOLL_GET) !== 0) {
    folioPut(kernel, head, count);
  } else if ((flags & FOLL_PIN) !== 0) {
    if ((memory.flags[head] & PG_HEAD) === 0) {
      folioPut(kernel, head, count * GUP_PIN_COUNTING_BIAS);
    } else {
      kernel.large.pincount[largeRow(kernel, head)] -= count;
      folioPut(kernel, head, count);
    }
  }
}

/**
 * Whether a read-only pin must first make the page exclusive, so that later writes of the owner
 * stay visible through the pin (spec 30 §5.3). `vma` undefined = fast path, which cannot tell.
 * `exclusivePfn` is the page that carries the exclusive bit (the head below a PMD).
 * @kernel gup_must_unshare
 */
export function gupMustUnshare(
  kernel: Kernel,
  vma: Vma | undefined,
  flags: number,
  exclusivePfn: number,
): boolean {
  if ((flags & FOLL_WRITE) !== 0 || (flags & FOLL_PIN) === 0) return false;
  const { memory } = kernel;
  const page = memory.flags[exclusivePfn];
  const head = (page & PG_TAIL) === 0 ? exclusivePfn : memory.mapping[exclusivePfn];
  if (!isAnonFolio(kernel, head)) {
    if ((flags & FOLL_LONGTERM) === 0) return false;
    return vma === undefined || isCowMapping(vma.flags);
  }
  return (page & PG_ANON_EXCLUSIVE) === 0;
}

/**
 * A forced write through a read-only entry: only to an exclusive anonymous page of a private
 * mapping that is not writable itself. @kernel can_follow_write_common
 */
export function canFollowWrite(
  kernel: Kernel,
  vma: Vma,
  pte: number,
  exclusivePfn: number,
  flags: number,
): boolean {
  if ((flags & FOLL_FORCE) === 0) return false;
  if ((vma.flags & (VM_SHARED | VM_WRITE)) !== 0 || !isCowMapping(vma.flags)) return false;
  const { memory } = kernel;
  const head = memory.folioOf(exclusivePfn);
  if (!isAnonFolio(kernel, head)) return false;
  return (memory.flags[exclusivePfn] & PG_ANON_EXCLUSIVE) !== 0 && (pte & PTE_UFFD_WP) === 0;
}
