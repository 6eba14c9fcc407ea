/** PageAnonExclusive, swap and migration entries (spec 90 A3). */
import type { Kernel } from '../kernel.js';
import { isAnonFolio, isKsmFolio } from '../phys/folio.js';
import { PG_ANON_EXCLUSIVE, PG_HUGETLB, PG_SWAPCACHE } from '../phys/page_flags.js';
import {
  KIND_MASK,
  KIND_MIGRATION_READ,
  PTE_PRESENT,
  PTE_SWP_EXCLUSIVE,
  PTE_WRITE,
} from '../pgtable/pte.js';
import { findSwapCachePage, swapEntryCount } from '../swap/swap_cache.js';
import { VM_WRITE } from '../vm/vm_flags.js';
import type { Census, MappedEntry } from './census.js';
import type { Invariant } from './invariant.js';

function isExclusive(kernel: Kernel, pfn: number): boolean {
  return (kernel.memory.flags[pfn] & PG_ANON_EXCLUSIVE) !== 0;
}

/** Entries that show a page: its PTEs and the leaves of its folio. */
function mappersOf(kernel: Kernel, census: Census, pfn: number): MappedEntry[] {
  const head = kernel.memory.folioOf(pfn);
  return [...(census.ptes.get(pfn) ?? []), ...(census.leaves.get(head) ?? [])];
}

export const EXCLUSIVE_CLAIMS: readonly Invariant[] = [
  {
    id: 'exclusive.anonymous',
    claim: 'an exclusive page is anonymous and not KSM [18]',
    check(kernel, census) {
      const wrong: string[] = [];
      for (const { pfn } of census.mapped) {
        const head = kernel.memory.folioOf(pfn);
        if (!isExclusive(kernel, pfn)) continue;
        if (!isAnonFolio(kernel, head)) wrong.push(`file page ${pfn} is exclusive`);
        if (isKsmFolio(kernel, head)) wrong.push(`KSM page ${pfn} is exclusive`);
      }
      return wrong;
    },
  },
  {
    id: 'exclusive.single-mapping',
    claim: 'an exclusive page is mapped at most once [19]',
    check(kernel, census) {
      const wrong: string[] = [];
      for (const { pfn } of census.mapped) {
        if (!isExclusive(kernel, pfn)) continue;
        const count = mappersOf(kernel, census, pfn).length;
        if (count > 1) wrong.push(`exclusive page ${pfn} is mapped ${count} times`);
      }
      return wrong;
    },
  },
  {
    id: 'exclusive.writable',
    claim: 'a writable entry of a private page shows an exclusive page [20]',
    check(kernel, census) {
      const wrong: string[] = [];
      for (const { pfn, flags, vpn, vma } of census.mapped) {
        if ((flags & (PTE_PRESENT | PTE_WRITE)) !== (PTE_PRESENT | PTE_WRITE)) continue;
        if (!isAnonFolio(kernel, kernel.memory.folioOf(pfn)) || isExclusive(kernel, pfn)) continue;
        wrong.push(`mm ${vma.mm.id} may write page ${pfn} at ${vpn}, which is not exclusive`);
      }
      return wrong;
    },
  },
  {
    id: 'exclusive.not-swapped',
    claim: 'a page that a swap or migration entry stands for is not exclusive [21]',
    check(kernel, census) {
      const wrong: string[] = [];
      for (const { entry, vpn } of census.swaps) {
        const page = findSwapCachePage(kernel, kernel.pageTables.payload[entry]);
        if (page >= 0 && isExclusive(kernel, page)) {
          wrong.push(`cached page ${page} of the swap entry at ${vpn} is exclusive`);
        }
      }
      for (const [pfn, entries] of census.migrations) {
        const isHuge = (kernel.memory.flags[pfn] & PG_HUGETLB) !== 0;
        if (!isHuge && isExclusive(kernel, pfn)) {
          wrong.push(`page ${pfn} is exclusive under ${entries.length} migration entries`);
        }
      }
      return wrong;
    },
  },
  {
    id: 'exclusive.swap-entry',
    claim: 'an exclusive swap entry is the only reference to its slot [22]',
    check(kernel, census) {
      const wrong: string[] = [];
      for (const { entry, flags, vpn } of census.swaps) {
        if ((flags & PTE_SWP_EXCLUSIVE) === 0) continue;
        const count = swapEntryCount(kernel, kernel.pageTables.payload[entry]);
        if (count !== 1)
          wrong.push(`the exclusive swap entry at ${vpn} shares its slot (${count})`);
      }
      return wrong;
    },
  },
  {
    id: 'exclusive.migration-entry',
    claim: 'an exclusive or writable migration entry is the only entry of its page [23]',
    check(kernel, census) {
      const wrong: string[] = [];
      for (const [pfn, entries] of census.migrations) {
        const isAnon = isAnonFolio(kernel, kernel.memory.folioOf(pfn));
        const isSole = entries.some(({ flags }) => (flags & KIND_MASK) !== KIND_MIGRATION_READ);
        const count = entries.length + mappersOf(kernel, census, pfn).length;
        if (isAnon && isSole && count > 1) wrong.push(`page ${pfn} has ${count} entries`);
      }
      return wrong;
    },
  },
  {
    id: 'exclusive.pinned',
    claim: 'a pinned anonymous page that is still mapped is exclusive [24]',
    check(kernel, census) {
      const wrong: string[] = [];
      const { memory } = kernel;
      for (const process of kernel.processes.values()) {
        for (const ring of process.rings.values()) {
          for (const pfn of ring.pfns) {
            const head = memory.folioOf(pfn);
            if (!isAnonFolio(kernel, head) || (memory.flags[head] & PG_SWAPCACHE) !== 0) continue;
            const mappers = mappersOf(kernel, census, pfn);
            if (mappers.length === 0) continue;
            const holder =
              (memory.flags[head] & PG_HUGETLB) !== 0 || census.leaves.has(head) ? head : pfn;
            if (!isExclusive(kernel, holder)) wrong.push(`pinned page ${pfn} is shared`);
          }
        }
      }
      return wrong;
    },
  },
  {
    id: 'exclusive.pinned-unshared',
    claim: 'a pinned anonymous page is mapped by one mm: fork gives the child a copy [25]',
    check(kernel, census) {
      const wrong: string[] = [];
      for (const process of kernel.processes.values()) {
        for (const ring of process.rings.values()) {
          for (const pfn of ring.pfns) {
            if (!isAnonFolio(kernel, kernel.memory.folioOf(pfn))) continue;
            const mms = new Set(mappersOf(kernel, census, pfn).map(({ vma }) => vma.mm));
            if (mms.size > 1) wrong.push(`pinned page ${pfn} is mapped by ${mms.size} mms`);
          }
        }
      }
      return wrong;
    },
  },
  {
    id: 'exclusive.permission',
    claim: 'an entry is writable only where its VMA is [48]',
    check(_kernel, census) {
      const wrong: string[] = [];
      for (const { flags, vma, vpn } of census.mapped) {
        const mayWrite = (vma.flags & VM_WRITE) !== 0;
        if ((flags & PTE_PRESENT) !== 0 && (flags & PTE_WRITE) !== 0 && !mayWrite) {
          wrong.push(`mm ${vma.mm.id} may write at ${vpn} in a read-only VMA`);
        }
      }
      return wrong;
    },
  },
];
