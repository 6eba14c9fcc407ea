import { NIL, tableEnd } from '../../base/units.js';
import { addCachePage } from '../file/alloc_cache.js';
import { addNewCacheFolio, attachBuffers, findCachedPage } from '../file/page_cache.js';
import { shmemGetPage } from '../file/shmem.js';
import type { Kernel } from '../kernel.js';
import { canInterleave, type Op } from '../op/prims.js';
import { folioGet, folioPageCount, folioPut, pageIsPoisoned } from '../phys/folio.js';
import { folioAddLruVma } from '../phys/mlock.js';
import { PG_DIRTY, PG_SWAPBACKED } from '../phys/page_flags.js';
import { PTE_PRESENT } from '../pgtable/pte.js';
import { pageTablesSettled } from '../pgtable/settled.js';
import { folioAddFileRmapPtes, folioAddNewAnonRmap } from '../rmap/folio_rmap.js';
import {
  isLargePage,
  mapAroundFolio,
  mapFolioByPmd,
  mapLargeFileFolio,
} from '../thp/file_fault.js';
import { isUffdArmed } from '../uffd/context.js';
import { handleUserfault, isUserfaultMissing } from '../uffd/userfault.js';
import { isShmem, type AddressSpace } from '../vm/address_space.js';
import { MM_ANONPAGES, MM_FILEPAGES, MM_SHMEMPAGES } from '../vm/mm.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';
import { VM_EXEC, VM_SHARED } from '../vm/vm_flags.js';
import { allocUserFolio } from './alloc.js';
import { vmfAnonPrepare } from './anon_prepare.js';
import {
  FAULT_WRITE,
  VM_FAULT_HWPOISON,
  VM_FAULT_MAJOR,
  VM_FAULT_OOM,
  VM_FAULT_SIGBUS,
} from './fault_flags.js';
import { cachedPageFlags, writtenFlags } from './pte_values.js';

/** Pages that one read fault may map at once: 64 KiB. @kernel fault_around_pages */
const FAULT_AROUND_PAGES = 16;
/** Pages around a miss that are read together. */
const READAHEAD_PAGES = 32;

/**
 * Fault on an empty entry of a file mapping (spec 97 §6.1–6.3, 30 §3). @kernel do_fault
 */
export function* doFileFault(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  faultFlags: number,
): Op<number> {
  const mapping = mappingOf(vma);
  const index = linearPageIndex(vma, vpn);
  const isWrite = (faultFlags & FAULT_WRITE) !== 0;
  // A userfaultfd sees every page by itself.
  const mapsMore = !isUffdArmed(vma);
  if (!isWrite && mapsMore && mapFaultAround(kernel, vma, vpn, mapping, false)) return 0;
  if (isWrite && (vma.flags & VM_SHARED) === 0) {
    return yield* doCowFault(kernel, vma, vpn, mapping, index, faultFlags);
  }
  if (index >= mapping.sizePages) return VM_FAULT_SIGBUS;
  if (isUserfaultMissing(vma, vpn)) return handleUserfault(vma);
  const wasCached = findCachedPage(mapping, index) !== NIL;
  const pfn = yield* getFilePage(kernel, vma, mapping, index);
  yield* pageTablesSettled(vma.mm);
  if (pfn === NIL) return VM_FAULT_OOM;
  if (pageIsPoisoned(kernel, pfn)) return VM_FAULT_HWPOISON;
  const major = !wasCached && !isShmem(mapping) ? VM_FAULT_MAJOR : 0;
  if (isWrite) sharedPageMkwrite(kernel, vma, kernel.memory.folioOf(pfn));
  if (mapsMore && mapLargeFileFolio(kernel, vma, vpn, pfn, isWrite)) return major;
  const seesRead = mapsMore && !isWrite && !isShmem(mapping);
  if (seesRead && mapFaultAround(kernel, vma, vpn, mapping, true)) return major;
  const entry = kernel.pageTables.allocPte(vma.mm.pgd, vpn);
  if (kernel.pageTables.flags[entry] === 0) mapCachedPage(kernel, vma, entry, pfn, isWrite);
  return major;
}

/** The file mapping behind a VMA that has one. */
export function mappingOf(vma: Vma): AddressSpace {
  if (vma.file === undefined) throw new TypeError('an anonymous VMA has no file mapping');
  return vma.file.mapping;
}

/** Private write: the page-cache page is brought in and copied, not mapped. @kernel do_cow_fault */
function* doCowFault(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  mapping: AddressSpace,
  index: number,
  faultFlags: number,
): Op<number> {
  const failed = yield* vmfAnonPrepare(kernel, vma, faultFlags);
  if (failed !== 0) return failed;
  // The anon_vma stays even if the file is too short.
  if (index >= mapping.sizePages) return VM_FAULT_SIGBUS;
  if (isUserfaultMissing(vma, vpn)) return handleUserfault(vma);
  const wasCached = findCachedPage(mapping, index) !== NIL;
  const source = yield* getFilePage(kernel, vma, mapping, index);
  if (source === NIL) return VM_FAULT_OOM;
  if (pageIsPoisoned(kernel, source)) return VM_FAULT_HWPOISON;
  const { memory, pageTables } = kernel;
  const sourceHead = memory.folioOf(source);
  folioGet(kernel, sourceHead);
  const copy = yield* allocUserFolio(kernel, vma.mm, 0);
  if (copy === NIL) {
    folioPut(kernel, sourceHead);
    return VM_FAULT_OOM;
  }
  yield* pageTablesSettled(vma.mm);
  const entry = pageTables.allocPte(vma.mm.pgd, vpn);
  if (canInterleave && pageTables.flags[entry] !== 0) {
    // Another fault was faster: the access looks again.
    folioPut(kernel, copy);
    folioPut(kernel, sourceHead);
    return 0;
  }
  memory.content[copy] = memory.content[source];
  kernel.work.pagesCopied += 1;
  kernel.tracer?.pageCopied?.(vma.mm, vpn, source, copy, 0);
  folioPut(kernel, sourceHead);
  folioAddNewAnonRmap(kernel, copy, vma, vpn, true);
  folioAddLruVma(kernel, copy, vma);
  pageTables.payload[entry] = copy;
  pageTables.flags[entry] = writtenFlags(vma);
  vma.mm.rss[MM_ANONPAGES] += 1;
  return !wasCached && !isShmem(mapping) ? VM_FAULT_MAJOR : 0;
}

/**
 * The page-cache page of a file page, read or allocated. A miss of a disk file reads its
 * neighbourhood too. @kernel filemap_fault
 */
function* getFilePage(kernel: Kernel, vma: Vma, mapping: AddressSpace, index: number): Op<number> {
  if (isShmem(mapping)) return yield* shmemGetPage(kernel, mapping, index, vma, vma.mm.memcg);
  const cached = findCachedPage(mapping, index);
  // A fault sees a page that is hidden from fault-around, and ends that.
  mapping.readIn.delete(index);
  if (cached !== NIL) return cached;
  // Of an executable mapping, the rest; of others, what lies around.
  const isExecutable = (vma.flags & VM_EXEC) !== 0;
  const from = isExecutable ? index : Math.max(0, index - READAHEAD_PAGES / 2);
  const end = isExecutable ? linearPageIndex(vma, vma.end) : from + READAHEAD_PAGES;
  const to = Math.min(mapping.sizePages, end);
  for (let page = from; page < to; page += 1) {
    if (findCachedPage(mapping, page) !== NIL) continue;
    addNewCacheFolio(kernel, mapping, page, 0, vma.mm.memcg);
  }
  const read = findCachedPage(mapping, index);
  return read === NIL ? yield* addCachePage(kernel, mapping, index, vma.mm.memcg) : read;
}

/**
 * Maps every cached page of the window around a read fault whose entry is empty. A large folio that
 * the window touches is mapped as a whole where it fits, even behind the end of the file. Returns
 * whether the faulting page is mapped now. @kernel do_fault_around
 */
function mapFaultAround(
  kernel: Kernel,
  vma: Vma,
  vpn: number,
  mapping: AddressSpace,
  seesAll: boolean,
): boolean {
  const { pageTables } = kernel;
  const wantedIndex = linearPageIndex(vma, vpn);
  const wanted = wantedIndex < mapping.sizePages ? findCachedPage(mapping, wantedIndex) : NIL;
  if (wanted !== NIL && mapFolioByPmd(kernel, vma, vpn, wanted, false)) return true;
  const from = Math.max(vpn - (vpn & (FAULT_AROUND_PAGES - 1)), vma.start);
  const to = Math.min(from + FAULT_AROUND_PAGES, vma.end, tableEnd(vpn));
  let first = NIL;
  for (let page = from; page < to; page += 1) {
    const index = linearPageIndex(vma, page);
    if (index >= mapping.sizePages) break;
    const pfn = findCachedPage(mapping, index);
    if (pfn === NIL || (!seesAll && mapping.readIn.has(index))) continue;
    if (first === NIL) {
      // The table is made when a page is found: without one a huge page may still come here. The
      // end of a disk file alone makes none.
      const hasTable = pageTables.findPte(vma.mm.pgd, from) !== NIL;
      if (!hasTable && endsDiskFile(kernel, mapping, index, pfn)) break;
      first = pageTables.allocPte(vma.mm.pgd, from);
    }
    const entry = first + (page - from);
    if (isLargePage(kernel, pfn)) {
      const limit = Math.min(to, page + mapping.sizePages - index);
      page = mapAroundFolio(kernel, vma, page, entry, pfn, limit);
    } else if (pageTables.flags[entry] === 0 && !pageIsPoisoned(kernel, pfn)) {
      mapCachedPage(kernel, vma, entry, pfn, false);
    }
  }
  const entry = pageTables.findPte(vma.mm.pgd, vpn);
  return entry !== NIL && (pageTables.flags[entry] & PTE_PRESENT) !== 0;
}

/** Whether nothing of a disk file lies behind the folio of this page. */
function endsDiskFile(kernel: Kernel, mapping: AddressSpace, index: number, pfn: number): boolean {
  const head = kernel.memory.folioOf(pfn);
  const firstIndex = index - (pfn - head);
  return !isShmem(mapping) && firstIndex + folioPageCount(kernel, head) >= mapping.sizePages;
}

/** Maps one page-cache page into an empty entry (spec 97 §6.3). @kernel set_pte_range */
export function mapCachedPage(
  kernel: Kernel,
  vma: Vma,
  entry: number,
  pfn: number,
  isWrite: boolean,
): void {
  const { memory, pageTables } = kernel;
  const head = memory.folioOf(pfn);
  folioGet(kernel, head);
  folioAddFileRmapPtes(kernel, head, pfn, 1, vma);
  pageTables.payload[entry] = pfn;
  pageTables.flags[entry] = cachedPageFlags(kernel, vma, head, isWrite);
  const isSwapbacked = (memory.flags[head] & PG_SWAPBACKED) !== 0;
  vma.mm.rss[isSwapbacked ? MM_SHMEMPAGES : MM_FILEPAGES] += 1;
}

/** A shared mapping is about to write: the folio is dirty from now on. @kernel page_mkwrite */
export function sharedPageMkwrite(kernel: Kernel, vma: Vma, head: number): void {
  kernel.memory.flags[head] |= PG_DIRTY;
  attachBuffers(kernel, mappingOf(vma), head);
}
