import { ENTRIES_PER_TABLE, NIL, tableEnd, tableIndex } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import { folioPageCount } from '../phys/folio.js';
import { PG_SWAPCACHE, PG_TAIL } from '../phys/page_flags.js';
import { PTE_TABLE, swapOffset } from '../pgtable/pte.js';
import { MM_SWAPENTS, type Mm } from '../vm/mm.js';
import { isSwapPte } from './swap_pte.js';

/**
 * Compares every swap count of a machine at rest with a recount: slots with the entries that name
 * them, the cache with the folios in it, each mm's counter with its entries. Returns one sentence a
 * difference; none if all is well.
 */
export function swapProblems(kernel: Kernel): string[] {
  const problems: string[] = [];
  const references = countReferences(kernel, problems);
  for (const device of kernel.swap.devices) {
    if (device === undefined) continue;
    let used = 0;
    for (let slot = 1; slot < device.slotCount; slot += 1) {
      const entry = device.entryOf(slot);
      const expected = takeReferences(references, entry);
      if (!device.isFree(slot)) used += 1;
      if (device.count(slot) !== expected) {
        problems.push(`slot ${slot} counts ${device.count(slot)} entries, there are ${expected}`);
      }
      const page = device.cachedPage[slot] - 1;
      if (device.hasCache(slot) !== (page !== NIL)) problems.push(`slot ${slot}: cache bit`);
      if (page !== NIL) checkCachedPage(kernel, entry, page, problems);
    }
    if (used !== device.usedSlots) {
      problems.push(`area ${device.type} has ${device.usedSlots} used slots, counted ${used}`);
    }
  }
  for (const entry of references.keys()) problems.push(`entry ${entry} names no slot`);
  checkCachedFolios(kernel, problems);
  return problems;
}

/** Entries of page tables and shmem files by swap entry; checks the mms' counters on the way. */
function countReferences(kernel: Kernel, problems: string[]): Map<number, number> {
  const references = new Map<number, number>();
  for (const mm of kernel.mms) {
    let entries = 0;
    for (const swapped of swapEntriesOf(kernel, mm)) {
      references.set(swapped, (references.get(swapped) ?? 0) + 1);
      entries += 1;
    }
    if (mm.rss[MM_SWAPENTS] !== entries) {
      problems.push(`mm ${mm.id} counts ${mm.rss[MM_SWAPENTS]} swap entries, it has ${entries}`);
    }
  }
  for (const mapping of kernel.mappings) {
    if (mapping === undefined) continue;
    for (const swapped of mapping.swapped.values()) {
      references.set(swapped, (references.get(swapped) ?? 0) + 1);
    }
  }
  return references;
}

/** Takes what refers to a slot out of the table; mostly none is left in it. */
function takeReferences(references: Map<number, number>, entry: number): number {
  if (references.size === 0) return 0;
  const count = references.get(entry) ?? 0;
  references.delete(entry);
  return count;
}

function swapEntriesOf(kernel: Kernel, mm: Mm): number[] {
  const { pageTables } = kernel;
  const found: number[] = [];
  for (const vma of mm.vmas) {
    for (let vpn = vma.start; vpn < vma.end;) {
      const blockEnd = Math.min(tableEnd(vpn), vma.end);
      const pmd = pageTables.findPmd(mm.pgd, vpn);
      if (pmd !== NIL && (pageTables.flags[pmd] & PTE_TABLE) !== 0) {
        const from = pageTables.payload[pmd] * ENTRIES_PER_TABLE + tableIndex(vpn);
        for (let entry = from; entry < from + (blockEnd - vpn); entry += 1) {
          if (isSwapPte(pageTables.flags[entry])) found.push(pageTables.payload[entry]);
        }
      }
      vpn = blockEnd;
    }
  }
  return found;
}

function checkCachedPage(kernel: Kernel, entry: number, page: number, problems: string[]): void {
  const head = kernel.memory.folioOf(page);
  if ((kernel.memory.flags[head] & PG_SWAPCACHE) === 0) {
    problems.push(`slot ${swapOffset(entry)} caches page ${page}, which is not in the cache`);
  } else if (kernel.swap.folioSlots.get(head) !== entry - (page - head)) {
    problems.push(`folio ${head} does not know slot ${swapOffset(entry)}`);
  }
}

/** Every folio with the flag is in the table, and the other way round. */
function checkCachedFolios(kernel: Kernel, problems: string[]): void {
  const { flags } = kernel.memory;
  const flagged: number[] = [];
  const { pageCount } = kernel.memory;
  for (let pfn = 0; pfn < pageCount; pfn += 1) {
    if ((flags[pfn] & PG_SWAPCACHE) !== 0 && (flags[pfn] & PG_TAIL) === 0) flagged.push(pfn);
  }
  const known = kernel.swap.folioSlots.sortedHeads();
  if (flagged.join(' ') !== known.join(' ')) {
    problems.push(
      `folios in the swap cache: ${known.join(' ')}; with the flag: ${flagged.join(' ')}`,
    );
    return;
  }
  for (const head of known) {
    const entry = kernel.swap.folioSlots.get(head);
    const { cachedPage } = kernel.swap.deviceOf(entry);
    for (let i = 0; i < folioPageCount(kernel, head); i += 1) {
      if (cachedPage[swapOffset(entry) + i] !== head + i + 1) {
        problems.push(`page ${head + i} is not cached in its slot`);
      }
    }
  }
}
