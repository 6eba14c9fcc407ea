import { NIL, PAGES_PER_PMD, tableIndex } from '../../base/units.js';
import { EAGAIN, EBUSY, EEXIST, EINVAL, ENOENT } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { downWrite, upWrite, type Op } from '../op/prims.js';
import { PG_ANON_EXCLUSIVE } from '../phys/page_flags.js';
import { PTE_LEAF, PTE_PRESENT } from '../pgtable/pte.js';
import { flushTlbRange } from '../rmap/tlb_model.js';
import { splitHugePmdLocked } from '../thp/split_pmd.js';
import type { Mm } from '../vm/mm.js';
import { vmaEndRead } from '../vm/vma_lock.js';
import { isAnonymous, type Vma } from '../vm/vma.js';
import {
  VM_ACCESS_FLAGS,
  VM_HUGETLB,
  VM_IO,
  VM_LOCKED,
  VM_MIXEDMAP,
  VM_PFNMAP,
  VM_SHARED,
  VM_WRITE,
} from '../vm/vm_flags.js';
import { uffdMoveLock, type MoveVmas } from './lock_vma.js';
import { moveHugePmd, movePte, type MovePlace } from './move_entry.js';

/** VMAs with any of these hold pages that have no place of their own. */
const NOT_MOVABLE = VM_PFNMAP | VM_IO | VM_HUGETLB | VM_MIXEDMAP;

/**
 * UFFDIO_MOVE: moves exclusive anonymous pages to empty places of the same address space, without
 * copying (spec 98 §8.2). Returns 0 or a negative errno; -EAGAIN if only some pages could be moved.
 * @kernel move_pages
 */
export function* uffdioMove(
  kernel: Kernel,
  mm: Mm,
  at: number,
  lengthPages: number,
  to: number,
  allowHoles: boolean,
): Op<number> {
  if (lengthPages <= 0) return -EINVAL;
  const vmas = yield* uffdMoveLock(kernel, mm, to, at);
  if (typeof vmas === 'number') return vmas;
  const result = yield* moveLocked(kernel, vmas, at, lengthPages, to, allowHoles);
  yield* vmaEndRead(vmas.target);
  yield* vmaEndRead(vmas.source);
  return result;
}

function* moveLocked(
  kernel: Kernel,
  { source, target }: MoveVmas,
  at: number,
  lengthPages: number,
  to: number,
  allowHoles: boolean,
): Op<number> {
  if ((source.flags & VM_SHARED) !== 0 || at + lengthPages > source.end) return -EINVAL;
  if ((target.flags & VM_SHARED) !== 0 || to + lengthPages > target.end) return -EINVAL;
  if (!canMoveBetween(source, target)) return -EINVAL;
  let done = 0;
  while (done < lengthPages) {
    const place = { source, target, from: at + done, to: to + done };
    const step = yield* moveStep(kernel, place, lengthPages - done, allowHoles);
    if (step < 0) return done === 0 ? step : -EAGAIN;
    flushTlbRange(kernel, source.mm, at + done, at + done + step);
    done += step;
  }
  return 0;
}

/** @kernel validate_move_areas */
function canMoveBetween(source: Vma, target: Vma): boolean {
  if (((source.flags ^ target.flags) & (VM_ACCESS_FLAGS | VM_LOCKED)) !== 0) return false;
  if ((source.flags & VM_WRITE) === 0) return false;
  if (((source.flags | target.flags) & NOT_MOVABLE) !== 0) return false;
  return isAnonymous(source) && isAnonymous(target);
}

/** Moves what one entry maps. Returns how many pages that were, or a negative errno. */
function* moveStep(
  kernel: Kernel,
  place: MovePlace,
  leftPages: number,
  allowHoles: boolean,
): Op<number> {
  const { pageTables, memory } = kernel;
  const { source, target, from, to } = place;
  const { pgd } = source.mm;
  const targetPmd = pageTables.allocPmd(pgd, to);
  if ((pageTables.flags[targetPmd] & PTE_LEAF) !== 0) return -EEXIST;
  let sourcePmd = pageTables.findPmd(pgd, from);
  if (sourcePmd === NIL) {
    if (!allowHoles) return -ENOENT;
    sourcePmd = pageTables.allocPmd(pgd, from);
  }
  const pmd = pageTables.flags[sourcePmd];
  if ((pmd & PTE_LEAF) !== 0) {
    const isWhole = tableIndex(from) === 0 && tableIndex(to) === 0 && leftPages >= PAGES_PER_PMD;
    if (isWhole && pageTables.flags[targetPmd] === 0) {
      const moved = yield* moveHugePmd(kernel, place, sourcePmd, targetPmd);
      return moved < 0 ? moved : PAGES_PER_PMD;
    }
    const head = pageTables.payload[sourcePmd];
    const isPresent = (pmd & PTE_PRESENT) !== 0;
    const isExclusive = (memory.flags[head] & PG_ANON_EXCLUSIVE) !== 0;
    if (isPresent && head !== memory.hugeZeroPfn && !isExclusive) return -EBUSY;
    yield* downWrite(source.mm.pageTableLock);
    splitHugePmdLocked(kernel, source, from, sourcePmd, false);
    yield* upWrite(source.mm.pageTableLock);
    // The next steps split the folio.
    return 0;
  }
  if (pmd === 0 && !allowHoles) return -ENOENT;
  pageTables.allocPte(pgd, from);
  pageTables.allocPte(target.mm.pgd, to);
  const moved = yield* movePte(kernel, place, allowHoles);
  return moved < 0 ? moved : 1;
}
