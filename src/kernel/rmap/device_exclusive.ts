/**
 * Entries that give one page of anonymous memory to a device alone (spec 40 §9). Such an entry
 * still counts as a mapping, with its reference; only the CPU has to ask for it back.
 */
import { fail } from '../../base/errors.js';
import { NIL } from '../../base/units.js';
import { EBUSY, EOPNOTSUPP } from '../errno.js';
import { getUserPage } from '../fault/gup.js';
import { FOLL_GET, FOLL_SPLIT_PMD, FOLL_WRITE } from '../fault/gup_flags.js';
import { presentFlags } from '../fault/pte_values.js';
import type { Kernel } from '../kernel.js';
import { downWrite, upWrite, type Op } from '../op/prims.js';
import { folioPut, isAnonFolio } from '../phys/folio.js';
import { PG_ANON_EXCLUSIVE, PG_DIRTY, PG_HUGETLB, PG_LOCKED } from '../phys/page_flags.js';
import {
  KIND_DEVICE_EXCLUSIVE,
  KIND_MASK,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_SOFT_DIRTY,
  PTE_UFFD_WP,
  PTE_WRITE,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import type { Mm } from '../vm/mm.js';
import type { Vma } from '../vm/vma.js';
import { VM_WRITE } from '../vm/vm_flags.js';
import { notifyRangeEnd, notifyRangeStart } from './mmu_notifier.js';
import { flushTlbRange } from './tlb_model.js';

/** More rounds than any interleaving of the checker makes. */
const RETRY_LIMIT = 64;

/**
 * Makes the page at `vpn` writable for a device and absent for the CPU. `owner` is told to the
 * notifiers so that the device does not invalidate itself. Returns the pfn, its folio locked and
 * with a reference, or a negative errno. The mmap lock is held for read.
 * @kernel make_device_exclusive
 */
export function* makeDeviceExclusive(
  kernel: Kernel,
  mm: Mm,
  vpn: number,
  owner: unknown,
): Op<number> {
  const { memory } = kernel;
  for (let round = 0; round < RETRY_LIMIT; round += 1) {
    const pfn = yield* getUserPage(kernel, mm, vpn, FOLL_GET | FOLL_WRITE | FOLL_SPLIT_PMD);
    if (pfn < 0) return pfn;
    const head = memory.folioOf(pfn);
    if (!isAnonFolio(kernel, head) || (memory.flags[head] & PG_HUGETLB) !== 0) {
      folioPut(kernel, head);
      return -EOPNOTSUPP;
    }
    if ((memory.flags[head] & PG_LOCKED) !== 0) {
      folioPut(kernel, head);
      continue;
    }
    memory.flags[head] |= PG_LOCKED;
    notifyRangeStart(kernel, mm, vpn, vpn + 1, 'exclusive', owner);
    yield* downWrite(mm.pageTableLock);
    const isDone = replaceByExclusive(kernel, mm, vpn, pfn);
    yield* upWrite(mm.pageTableLock);
    notifyRangeEnd(kernel, mm, vpn, vpn + 1, 'exclusive');
    if (isDone) return pfn;
    memory.flags[head] &= ~PG_LOCKED;
    folioPut(kernel, head);
  }
  return -EBUSY;
}

/** Whether the entry was still the writable PTE of that page, and is replaced. */
function replaceByExclusive(kernel: Kernel, mm: Mm, vpn: number, pfn: number): boolean {
  const { pageTables, memory } = kernel;
  const entry = pageTables.findPte(mm.pgd, vpn);
  if (entry === NIL || pageTables.payload[entry] !== pfn) return false;
  const pte = pageTables.flags[entry];
  const wanted = PTE_PRESENT | PTE_WRITE;
  if ((pte & wanted) !== wanted) return false;
  flushTlbRange(kernel, mm, vpn, vpn + 1);
  if ((pte & PTE_DIRTY) !== 0) memory.flags[memory.folioOf(pfn)] |= PG_DIRTY;
  pageTables.flags[entry] = KIND_DEVICE_EXCLUSIVE | (pte & (PTE_SOFT_DIRTY | PTE_UFFD_WP));
  return true;
}

/**
 * Gives a device-exclusive page back to the CPU, at a fault or before fork copies the entry.
 * Returns false if that must wait: somebody holds the folio lock, or the entry is of another kind
 * that only its owner can resolve (migration, device-private).
 * @kernel remove_device_exclusive_entry @kernel try_restore_exclusive_pte
 */
export function restoreDeviceEntry(kernel: Kernel, vma: Vma, vpn: number, entry: number): boolean {
  const { pageTables, memory } = kernel;
  if ((pageTables.flags[entry] & KIND_MASK) !== KIND_DEVICE_EXCLUSIVE) return false;
  const head = memory.folioOf(pageTables.payload[entry]);
  if ((memory.flags[head] & PG_LOCKED) !== 0) return false;
  notifyRangeStart(kernel, vma.mm, vpn, vpn + 1, 'exclusive');
  restoreExclusivePte(kernel, vma, entry);
  notifyRangeEnd(kernel, vma.mm, vpn, vpn + 1, 'exclusive');
  return true;
}

/** Counts and exclusiveness stay as they are. @kernel restore_exclusive_pte */
function restoreExclusivePte(kernel: Kernel, vma: Vma, entry: number): void {
  const { pageTables, memory, profile } = kernel;
  const old = pageTables.flags[entry];
  const pfn = pageTables.payload[entry];
  const head = memory.folioOf(pfn);
  if (!isAnonFolio(kernel, head)) fail(`device-exclusive entry of the file page ${pfn}`);
  let flags = presentFlags(vma) & ~PTE_YOUNG;
  flags |= old & (PTE_SOFT_DIRTY | PTE_UFFD_WP);
  // Fork of a shared page or mprotect may have made it read-only meanwhile.
  const canWrite =
    (vma.flags & VM_WRITE) !== 0 &&
    (memory.flags[pfn] & PG_ANON_EXCLUSIVE) !== 0 &&
    (flags & (PTE_PROTNONE | PTE_UFFD_WP)) === 0 &&
    (!profile.softDirty || (flags & PTE_SOFT_DIRTY) !== 0);
  if (canWrite) {
    flags |= PTE_WRITE;
    if ((memory.flags[head] & PG_DIRTY) !== 0) flags |= PTE_DIRTY;
  }
  pageTables.flags[entry] = flags;
}
