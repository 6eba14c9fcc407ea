import { copyPageRange } from '../fault/copy_page_range.js';
import { freePgtables, ZAP_ALL, zapPageRange } from '../fault/zap.js';
import { ENOMEM } from '../errno.js';
import type { Kernel } from '../kernel.js';
import { ksmExit } from '../ksm/exit.js';
import { ksmFork } from '../ksm/fork.js';
import { downWrite, fullBarrier, updatePoint, upWrite, writePoint, type Op } from '../op/prims.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { TASK_SIZE_PAGES } from '../../base/units.js';
import { hugetlbUnreserve } from '../hugetlb/reserve.js';
import { anonVmaFork, unlinkAnonVmas } from '../rmap/anon_vma_clone.js';
import { mmIdLayout } from '../rmap/large_mapcount.js';
import { flushTlbRange } from '../rmap/tlb_model.js';
import { dupUserfaultfd } from '../uffd/fork.js';
import { linkFileAfter, putMapping, unlinkFromFile } from '../vm/file_map.js';
import type { AddressSpace } from '../vm/address_space.js';
import { Mm } from '../vm/mm.js';
import { inheritSizes, vmStatAccount } from '../vm/vm_stat.js';
import { mmapWriteLock, mmapWriteUnlock, vmaStartWrite } from '../vm/vma_lock.js';
import { duplicateVma } from '../vm/vma_split.js';
import {
  isCowMapping,
  VM_DONTCOPY,
  VM_HUGETLB,
  VM_LOCKED,
  VM_LOCKONFAULT,
  VM_WIPEONFORK,
} from '../vm/vm_flags.js';

/** Whether a new mm can have an id: they are few where they have 15 bits. */
export function hasFreeMmId(kernel: Kernel): boolean {
  // The pool counts init's dummy too.
  return kernel.profile.mmIds === 'none' || kernel.mmIds.count <= mmIdLayout(kernel).idMax;
}

/** A new, empty address space. `id` is the number of the process that owns it. @kernel mm_alloc */
export function createMm(kernel: Kernel, id: number): Mm {
  const mm = new Mm(id, kernel.mmIds.alloc(), kernel.pageTables.allocNode());
  kernel.mms.add(mm);
  return mm;
}

/**
 * Copies an address space for a forked process (spec 30 §1). Returns the child's mm, or -ENOMEM;
 * then nothing of the child is left. @kernel dup_mmap
 */
export function* forkMm(kernel: Kernel, parent: Mm, childId: number): Op<Mm | number> {
  if (!hasFreeMmId(kernel)) return -ENOMEM;
  const child = createMm(kernel, childId);
  yield* mmapWriteLock(parent);
  yield* mmapWriteLock(child);
  inheritSizes(child, parent);
  child.startBrk = parent.startBrk;
  child.brk = parent.brk;
  child.memcg = parent.memcg;
  child.mergeAny = parent.mergeAny;
  child.thpDisabled = parent.thpDisabled;
  const copied = yield* forkVmas(kernel, parent, child);
  yield* mmapWriteUnlock(child);
  yield* mmapWriteUnlock(parent);
  if (copied < 0) {
    yield* putFiles(kernel, yield* exitMmap(kernel, child));
    return copied;
  }
  ksmFork(kernel, parent, child);
  kernel.tracer?.forked?.(parent, child, copied);
  return child;
}

/** Returns the number of page-table entries copied, or a negative errno. */
function* forkVmas(kernel: Kernel, parent: Mm, child: Mm): Op<number> {
  let copied = 0;
  for (const vma of parent.vmas) {
    yield* vmaStartWrite(vma);
    if ((vma.flags & VM_DONTCOPY) !== 0) {
      vmStatAccount(child, vma.flags, -vma.lengthPages);
      continue;
    }
    if (kernel.allocationFails()) return -ENOMEM;
    const copy = duplicateVma(vma, child);
    copy.ownsReservation = false;
    copy.reservedPages = undefined;
    copy.lostHugePages = false;
    copy.flags &= ~(VM_LOCKED | VM_LOCKONFAULT);
    dupUserfaultfd(copy, vma);
    const isWiped = (vma.flags & VM_WIPEONFORK) !== 0;
    if (isWiped) {
      copy.lostAnonVma ||= copy.anonVma !== undefined;
      copy.anonVma = undefined;
    } else {
      const failed = yield* anonVmaFork(kernel, copy, vma);
      if (failed !== 0) return failed;
    }
    yield* linkFileAfter(kernel, copy, vma);
    child.vmas.push(copy);
    if (isWiped) continue;
    const isCow = isCowMapping(vma.flags);
    if (isCow) {
      yield* updatePoint('write_protect_seq', parent.id);
      parent.writeProtectSeq += 1;
      yield* fullBarrier();
    }
    yield* downWrite(child.pageTableLock);
    yield* downWrite(parent.pageTableLock);
    yield* writePoint('page_table', parent.id);
    const result = copyPageRange(kernel, copy, vma);
    yield* upWrite(parent.pageTableLock);
    yield* upWrite(child.pageTableLock);
    if (isCow) {
      flushTlbRange(kernel, parent, vma.start, vma.end);
      yield* fullBarrier();
      yield* updatePoint('write_protect_seq', parent.id);
      parent.writeProtectSeq += 1;
    }
    if (result < 0) return result;
    copied += result;
  }
  return copied;
}

/**
 * Tears an address space down: all pages, then all trees, then all tables. Returns the files that
 * its VMAs mapped, which the caller puts by `putFiles`. @kernel exit_mmap
 */
export function* exitMmap(kernel: Kernel, mm: Mm): Op<AddressSpace[]> {
  const files: AddressSpace[] = [];
  ksmExit(kernel, mm);
  yield* mmapWriteLock(mm);
  yield* pageTablesSettled(mm);
  for (const vma of mm.vmas) zapPageRange(kernel, vma, vma.start, vma.end, ZAP_ALL);
  for (const vma of mm.vmas) {
    vma.detached = true;
    if ((vma.flags & VM_HUGETLB) !== 0) hugetlbUnreserve(kernel, vma, vma.start, vma.end);
    yield* unlinkAnonVmas(kernel, vma);
    const mapping = yield* unlinkFromFile(kernel, vma);
    if (mapping !== undefined) files.push(mapping);
  }
  if (mm.vmas.length > 0) {
    const last = mm.vmas[mm.vmas.length - 1];
    freePgtables(kernel, mm, mm.vmas[0].start, last.end, 0, TASK_SIZE_PAGES);
  }
  mm.vmas.length = 0;
  kernel.pageTables.freeNode(mm.pgd);
  yield* mmapWriteUnlock(mm);
  mm.dead = true;
  kernel.mms.delete(mm);
  kernel.mmIds.free(mm.mmId);
  return files;
}

/**
 * Lets go of files that were closed or unmapped. A task does so when it leaves the kernel or is at
 * its end, with the last one first.
 */
export function* putFiles(kernel: Kernel, files: readonly AddressSpace[]): Op<void> {
  for (const mapping of files.toReversed()) yield* putMapping(kernel, mapping);
}
