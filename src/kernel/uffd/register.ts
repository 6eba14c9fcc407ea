import { EINVAL, EPERM } from '../errno.js';
import type { Kernel } from '../kernel.js';
import type { Op } from '../op/prims.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { isShmem } from '../vm/address_space.js';
import { findVmaIndex, type Mm } from '../vm/mm.js';
import { mmapWriteLock, mmapWriteUnlock } from '../vm/vma_lock.js';
import { modifyVmaFlags } from '../vm/vma_modify.js';
import type { Vma } from '../vm/vma.js';
import { VM_DROPPABLE, VM_HUGETLB, VM_MAYWRITE, VM_UFFD_WP } from '../vm/vm_flags.js';
import { VM_UFFD_FLAGS, type UffdContext } from './context.js';
import { isHugeAligned } from './hugetlb.js';
import { changeUffdWp } from './write_protect.js';

/**
 * Registers the VMAs of a range with the process's userfaultfd, which the first call makes with
 * the given features; `mode` is of `VM_UFFD_FLAGS`. VMAs are split and merged by flags; pages stay
 * as they are. Returns 0 or a negative errno. @kernel userfaultfd_register
 */
export function* uffdRegister(
  kernel: Kernel,
  mm: Mm,
  at: number,
  lengthPages: number,
  mode: number,
  context: UffdContext | undefined,
): Op<number> {
  if (lengthPages <= 0 || mode === 0) return -EINVAL;
  if (context !== undefined && mm.uffd !== undefined && !isSame(context, mm.uffd)) return -EINVAL;
  yield* mmapWriteLock(mm);
  const result = yield* registerLocked(kernel, mm, at, at + lengthPages, mode, context);
  yield* mmapWriteUnlock(mm);
  return result;
}

function isSame(a: UffdContext, b: UffdContext): boolean {
  return (
    a.hasSigbus === b.hasSigbus &&
    a.isWpAsync === b.isWpAsync &&
    a.protectsUnpopulated === b.protectsUnpopulated &&
    a.hasEventFork === b.hasEventFork
  );
}

function* registerLocked(
  kernel: Kernel,
  mm: Mm,
  start: number,
  end: number,
  mode: number,
  given: UffdContext | undefined,
): Op<number> {
  const context = mm.uffd ?? given ?? NO_FEATURES;
  const first = mm.vmas[findVmaIndex(mm, start)];
  if (first === undefined || first.start >= end) return -EINVAL;
  for (let i = findVmaIndex(mm, start); i < mm.vmas.length && mm.vmas[i].start < end; i += 1) {
    const vma = mm.vmas[i];
    if (!canUserfault(vma, mode, context)) return -EINVAL;
    if (cutsHugePage(vma, start, end)) return -EINVAL;
    if ((vma.flags & VM_MAYWRITE) === 0) return -EPERM;
  }
  mm.uffd = context;
  return yield* changeFlags(kernel, mm, start, end, mode, false);
}

const NO_FEATURES: UffdContext = {
  hasSigbus: false,
  isWpAsync: false,
  protectsUnpopulated: false,
  hasEventFork: false,
};

/** Whether a boundary of the range lies inside a huge page of the VMA. */
function cutsHugePage(vma: Vma, start: number, end: number): boolean {
  if ((vma.flags & VM_HUGETLB) === 0) return false;
  return !isHugeAligned(vma, Math.max(start, vma.start), Math.min(end, vma.end));
}

/** @kernel vma_can_userfault */
function canUserfault(vma: Vma, mode: number, context: UffdContext): boolean {
  if ((vma.flags & VM_DROPPABLE) !== 0) return false;
  if (context.isWpAsync && mode === VM_UFFD_WP) return true;
  const mapping = vma.file?.mapping;
  return mapping === undefined || isShmem(mapping) || mapping.kind === 'hugetlb';
}

/**
 * Takes the registration of a range back; protected pages are released first. Returns 0 or a
 * negative errno. @kernel userfaultfd_unregister
 */
export function* uffdUnregister(
  kernel: Kernel,
  mm: Mm,
  at: number,
  lengthPages: number,
): Op<number> {
  if (lengthPages <= 0) return -EINVAL;
  yield* mmapWriteLock(mm);
  const end = at + lengthPages;
  const inside = mm.vmas.filter((vma) => vma.start < end && vma.end > at);
  const context = mm.uffd ?? NO_FEATURES;
  const isRefused =
    inside.length === 0 ||
    inside.some(
      (vma) => cutsHugePage(vma, at, end) || !canUserfault(vma, vma.flags & VM_UFFD_FLAGS, context),
    );
  const result = isRefused ? -EINVAL : yield* changeFlags(kernel, mm, at, end, 0, true);
  yield* mmapWriteUnlock(mm);
  return result;
}

function* changeFlags(
  kernel: Kernel,
  mm: Mm,
  start: number,
  end: number,
  mode: number,
  releases: boolean,
): Op<number> {
  let at = start;
  while (at < end) {
    const vma = mm.vmas[findVmaIndex(mm, at)];
    if (vma === undefined || vma.start >= end) return 0;
    const from = Math.max(at, vma.start);
    const to = Math.min(end, vma.end);
    at = to;
    // Who is registered for all of it already stays as he is, for more too.
    if (!releases && (vma.flags & mode) === mode) continue;
    const flags = (vma.flags & ~VM_UFFD_FLAGS) | mode;
    if (flags === vma.flags) continue;
    if (releases && (vma.flags & VM_UFFD_WP) !== 0) {
      yield* pageTablesSettled(mm);
      changeUffdWp(kernel, vma, from, to, false);
    }
    const changed = yield* modifyVmaFlags(kernel, vma, from, to, flags);
    if (typeof changed === 'number') return changed;
  }
  return 0;
}
