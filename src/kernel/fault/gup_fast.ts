import { NIL, tableIndex } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import {
  fullBarrier,
  interruptsOff,
  interruptsOn,
  readBarrier,
  readPoint,
  updatePoint,
  type Op,
} from '../op/prims.js';
import { isAnonFolio } from '../phys/folio.js';
import { PG_REFERENCED, PG_TAIL } from '../phys/page_flags.js';
import {
  PTE_LEAF,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_SPECIAL,
  PTE_TABLE,
  PTE_WRITE,
} from '../pgtable/pte.js';
import type { Mm } from '../vm/mm.js';
import { FOLL_LONGTERM, FOLL_PIN, FOLL_WRITE } from './gup_flags.js';
import { gupMustUnshare, gupPutFolio, tryGrabFolio } from './gup_grab.js';

/**
 * Gets pages without locks and without looking at VMAs, interrupts off (spec 30 §5.5). Appends the
 * pfns of the leading pages that could be had to `pfns` and returns their number; the rest is for
 * the slow path. Steps B1–B5 are declared points; a pin that overlaps a fork is undone.
 * @kernel gup_fast
 */
export function* gupFast(
  kernel: Kernel,
  mm: Mm,
  vpn: number,
  count: number,
  flags: number,
  pfns: number[],
): Op<number> {
  const isPin = (flags & FOLL_PIN) !== 0;
  if (isPin) mm.hasPinned = true;
  yield* interruptsOff();
  yield* readPoint('write_protect_seq', mm.id);
  const sequence = mm.writeProtectSeq;
  if (isPin && sequence % 2 === 1) {
    yield* interruptsOn();
    return 0;
  }
  const first = pfns.length;
  for (let i = 0; i < count; i += 1) {
    const pfn = yield* gupFastPage(kernel, mm, vpn + i, flags);
    if (pfn === NIL) break;
    pfns.push(pfn);
  }
  yield* interruptsOn();
  if (isPin) {
    yield* readBarrier();
    yield* readPoint('write_protect_seq', mm.id);
    if (mm.writeProtectSeq !== sequence) {
      for (const pfn of pfns.splice(first)) {
        gupPutFolio(kernel, kernel.memory.folioOf(pfn), 1, flags);
      }
      return 0;
    }
  }
  return pfns.length - first;
}

/** One page, or NIL where the fast path gives up. @kernel gup_fast_pte_range */
function* gupFastPage(kernel: Kernel, mm: Mm, vpn: number, flags: number): Op<number> {
  const { pageTables, memory } = kernel;
  const pmd = pageTables.findPmd(mm.pgd, vpn);
  if (pmd === NIL) return NIL;
  yield* readPoint('pmd', pmd);
  const pmdValue = pageTables.flags[pmd];
  if (pmdValue === 0) return NIL;
  const isLeaf = (pmdValue & PTE_LEAF) !== 0;
  if (!isLeaf && (pmdValue & PTE_TABLE) === 0) return NIL;
  const entry = isLeaf ? pmd : pageTables.findPte(mm.pgd, vpn);
  // B1: read the entry without a lock.
  yield* readPoint('pte', entry);
  const pte = pageTables.flags[entry];
  const base = pageTables.payload[entry];
  if ((pte & (PTE_PRESENT | PTE_PROTNONE | PTE_SPECIAL)) !== PTE_PRESENT) return NIL;
  // B2: writing needs a writable entry.
  if ((flags & FOLL_WRITE) !== 0 && (pte & PTE_WRITE) === 0) return NIL;
  const pfn = isLeaf ? base + tableIndex(vpn) : base;
  const head = memory.folioOf(pfn);
  // B3: take the reference or pin, then a full barrier for pins.
  yield* updatePoint('folio_refcount', head);
  if (memory.refcount[head] <= 0) return NIL;
  tryGrabFolio(kernel, head, 1, flags);
  if ((flags & FOLL_PIN) !== 0) yield* fullBarrier();
  // B4: the entry must not have changed meanwhile.
  yield* readPoint('pmd', pmd);
  yield* readPoint('pte', entry);
  const isSame =
    pageTables.flags[pmd] === pmdValue &&
    pageTables.flags[entry] === pte &&
    pageTables.payload[entry] === base;
  const longtermFile =
    (flags & FOLL_LONGTERM) !== 0 &&
    (flags & FOLL_WRITE) !== 0 &&
    !isAnonFolio(kernel, head) &&
    isDirtyTracked(kernel, head);
  if (!isSame || longtermFile) {
    gupPutFolio(kernel, head, 1, flags);
    return NIL;
  }
  // B5: a read-only pin of a page that is not exclusive must unshare on the slow path.
  if ((pte & PTE_WRITE) === 0) {
    yield* readBarrier();
    yield* readPoint('page_flags', base);
    if (gupMustUnshare(kernel, undefined, flags, base)) {
      gupPutFolio(kernel, head, 1, flags);
      return NIL;
    }
  }
  memory.flags[head] |= PG_REFERENCED;
  return pfn;
}

/** File pages that need dirty tracking cannot be pinned for long. */
function isDirtyTracked(kernel: Kernel, head: number): boolean {
  const { memory } = kernel;
  if ((memory.flags[head] & PG_TAIL) !== 0) return false;
  const mapping = kernel.mappings[memory.mapping[head] >> 2];
  return mapping === undefined || mapping.kind === 'tmp';
}
