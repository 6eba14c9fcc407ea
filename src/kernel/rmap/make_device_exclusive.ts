/**
 * Entries that give one page of anonymous memory to a device alone (spec 40 §9). Such an entry
 * still counts as a mapping, with its reference; only the CPU has to ask for it back.
 */
import { NIL } from '../../base/units.js';
import { EBUSY, EOPNOTSUPP } from '../errno.js';
import { getUserPage } from '../fault/gup.js';
import { FOLL_GET, FOLL_SPLIT_PMD, FOLL_WRITE } from '../fault/gup_flags.js';
import type { Kernel } from '../kernel.js';
import { downWrite, upWrite, type Op } from '../op/prims.js';
import { folioPut, isAnonFolio } from '../phys/folio.js';
import { PG_DIRTY, PG_HUGETLB, PG_LOCKED } from '../phys/page_flags.js';
import {
  KIND_DEVICE_EXCLUSIVE,
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_SOFT_DIRTY,
  PTE_UFFD_WP,
  PTE_WRITE,
} from '../pgtable/pte.js';
import type { Mm } from '../vm/mm.js';
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
