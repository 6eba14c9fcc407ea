/**
 * Writes to neighbouring pages of private anonymous memory, the common faults in line: first touch,
 * reuse and copy of small folios, a page table at a time. What `doAnonymousPage` and `doWpPage` look
 * at once a fault is looked at once a run. Anything else ends the run, and is left to them; where
 * other CPUs could come in between two faults (the check build), or a tracer or a model of TLBs
 * watches, there are no runs. The outcome is the same.
 */
import { ENTRIES_PER_TABLE, NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { canInterleave } from '../op/prims.js';
import { MAPPING_ANON, MAPPING_TAG_MASK } from '../phys/memory.js';
import {
  PG_ANON_EXCLUSIVE,
  PG_HEAD,
  PG_HWPOISON,
  PG_SWAPBACKED,
  PG_SWAPCACHE,
  PG_TAIL,
  PG_UPTODATE,
} from '../phys/page_flags.js';
import {
  PTE_DIRTY,
  PTE_PRESENT,
  PTE_PROTNONE,
  PTE_SPECIAL,
  PTE_TABLE,
  PTE_UFFD_WP,
  PTE_WRITE,
  PTE_YOUNG,
} from '../pgtable/pte.js';
import { allowableAnonOrders } from '../thp/anon_order.js';
import { isUffdArmed } from '../uffd/context.js';
import { findVma, MM_ANONPAGES, type Mm } from '../vm/mm.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';
import { VM_DROPPABLE, VM_HUGETLB, VM_LOCKED, VM_SHARED, VM_WRITE } from '../vm/vm_flags.js';

/** An entry that a write may use as it is. */
const WRITABLE = PTE_PRESENT | PTE_WRITE;
/** What a written page's entry says. */
const WRITTEN = PTE_PRESENT | PTE_WRITE | PTE_DIRTY | PTE_YOUNG;
/** Flags of a page that was just touched for the first time. */
const NEW_PAGE = PG_UPTODATE | PG_SWAPBACKED | PG_ANON_EXCLUSIVE;

/** Pages written, and the faults that it took. One object serves all runs of an access. */
export interface WriteRun {
  pages: number;
  faults: number;
}

/**
 * Writes `value` to up to `count` pages from `vpn` on. `run` tells how many of them are done; 0 if
 * the first one is for the slow path.
 */
export function writeRun(
  kernel: Kernel,
  mm: Mm,
  vpn: number,
  count: number,
  value: number,
  run: WriteRun,
): void {
  run.pages = 0;
  run.faults = 0;
  if (canInterleave || kernel.tracer !== undefined || kernel.profile.softDirty) return;
  if (kernel.tlb !== undefined || !kernel.notifiers.isEmpty) return;
  const vma = findVma(mm, vpn);
  if (vma === undefined || !isPlain(kernel, vma)) return;
  const { pageTables } = kernel;
  const pmd = pageTables.findPmd(mm.pgd, vpn);
  if (pmd === NIL || (pageTables.flags[pmd] & PTE_TABLE) === 0) return;
  const index = vpn & (ENTRIES_PER_TABLE - 1);
  const entry = pageTables.payload[pmd] * ENTRIES_PER_TABLE + index;
  const most = Math.min(count, ENTRIES_PER_TABLE - index, vma.end - vpn);
  writeEntries(kernel, vma, linearPageIndex(vma, vpn), entry, most, value, run);
}

/** Private, anonymous, writable, small pages only, and nothing that wants to see each page. */
function isPlain(kernel: Kernel, vma: Vma): boolean {
  const odd = VM_HUGETLB | VM_LOCKED | VM_SHARED | VM_DROPPABLE;
  return (
    (vma.flags & (VM_WRITE | odd)) === VM_WRITE &&
    vma.file === undefined &&
    vma.anonVma !== undefined &&
    !isUffdArmed(vma) &&
    allowableAnonOrders(kernel, vma) === 0
  );
}

function writeEntries(
  kernel: Kernel,
  vma: Vma,
  firstIndex: number,
  first: number,
  most: number,
  value: number,
  run: WriteRun,
): void {
  const { memory, lru } = kernel;
  const { payload, flags } = kernel.pageTables;
  const { refcount, mapcount, mapping, content } = memory;
  const pageFlags = memory.flags;
  const owner = ((vma.anonVma?.id ?? 0) << 2) | MAPPING_ANON;
  const { memcg } = vma.mm;
  let faults = 0;
  let fresh = 0;
  let copies = 0;
  let i = 0;
  for (; i < most; i += 1) {
    const entry = first + i;
    const pte = flags[entry];
    if ((pte & (WRITABLE | PTE_PROTNONE)) === WRITABLE) {
      flags[entry] = pte | PTE_YOUNG | PTE_DIRTY;
      content[payload[entry]] = value;
      continue;
    }
    if (pte !== 0) {
      const odd = PTE_SPECIAL | PTE_PROTNONE | PTE_UFFD_WP;
      if ((pte & (PTE_PRESENT | odd)) !== PTE_PRESENT) break;
      const old = payload[entry];
      const page = pageFlags[old];
      if ((page & (PG_HEAD | PG_TAIL | PG_SWAPCACHE | PG_HWPOISON)) !== 0) break;
      if ((mapping[old] & MAPPING_TAG_MASK) !== MAPPING_ANON) break;
      const isExclusive = (page & PG_ANON_EXCLUSIVE) !== 0;
      if (isExclusive || refcount[old] === 1) {
        if (!isExclusive) {
          pageFlags[old] = page | PG_ANON_EXCLUSIVE;
          mapping[old] = owner;
        }
        flags[entry] = pte | WRITTEN;
        content[old] = value;
        faults += 1;
        continue;
      }
      // With one mapping left others hold references, and the page may go with this one.
      if (mapcount[old] < 2) break;
    }
    const pfn = memory.allocPages(0);
    if (pfn === NIL) break;
    refcount[pfn] = 1;
    memory.memcg[pfn] = memcg;
    pageFlags[pfn] = NEW_PAGE;
    mapping[pfn] = owner;
    memory.index[pfn] = firstIndex + i;
    mapcount[pfn] = 1;
    content[pfn] = value;
    lru.add(pfn);
    if (pte === 0) {
      fresh += 1;
    } else {
      const old = payload[entry];
      mapcount[old] -= 1;
      refcount[old] -= 1;
      copies += 1;
    }
    payload[entry] = pfn;
    flags[entry] = WRITTEN;
    faults += 1;
  }
  kernel.work.faults += faults;
  kernel.work.pagesCopied += copies;
  kernel.stats.anonMapped += fresh + copies;
  vma.mm.rss[MM_ANONPAGES] += fresh;
  run.pages = i;
  run.faults = faults;
}
