/** VMAs, address spaces, locks and translations (spec 90 A6). */
import { ENTRIES_PER_TABLE, PAGES_PER_PMD } from '../../base/units.js';
import { isAnonFolio, isKsmFolio } from '../phys/folio.js';
import { PG_HEAD, PG_HUGETLB, PG_MLOCKED, PG_UNEVICTABLE } from '../phys/page_flags.js';
import { PTE_WRITE } from '../pgtable/pte.js';
import type { Mm } from '../vm/mm.js';
import { VM_EXEC, VM_GROWSDOWN, VM_LOCKED, VM_SHARED, VM_WRITE } from '../vm/vm_flags.js';
import { isAnonymous, mappingUnit } from '../vm/vma.js';
import type { Invariant } from './invariant.js';

function sizeProblems(mm: Mm): string[] {
  const counted = { total: 0, data: 0, code: 0, stack: 0, locked: mm.lostLockedPages };
  for (const { flags, start, end } of mm.vmas) {
    const pages = end - start;
    const isStack = (flags & VM_GROWSDOWN) !== 0;
    const isWritable = (flags & VM_WRITE) !== 0;
    const isExecutable = (flags & VM_EXEC) !== 0;
    counted.total += pages;
    if (isStack) counted.stack += pages;
    if (!isStack && isWritable && (flags & VM_SHARED) === 0) counted.data += pages;
    if (!isStack && isExecutable && !isWritable) counted.code += pages;
    if ((flags & VM_LOCKED) !== 0) counted.locked += pages;
  }
  const kept = {
    total: mm.totalPages,
    data: mm.dataPages,
    code: mm.execPages,
    stack: mm.stackPages,
    locked: mm.lockedPages,
  };
  return (Object.keys(kept) as Array<keyof typeof kept>)
    .filter((name) => kept[name] !== counted[name])
    .map((name) => `mm ${mm.id} says ${kept[name]} pages ${name}, its VMAs ${counted[name]}`);
}

export const VMA_CLAIMS: readonly Invariant[] = [
  {
    id: 'vma.order',
    claim: 'VMAs are ascending, disjoint, not empty, and begin and end on pages of their kind [44]',
    check(kernel) {
      const wrong: string[] = [];
      for (const mm of kernel.mms) {
        let end = 0;
        for (const vma of mm.vmas) {
          const unit = mappingUnit(vma);
          if (vma.start % unit !== 0 || vma.end % unit !== 0) {
            wrong.push(`mm ${mm.id}: VMA ${vma.start} to ${vma.end} is no whole number of pages`);
          }
          if (vma.start >= vma.end) wrong.push(`mm ${mm.id}: VMA ${vma.start} is empty`);
          if (vma.start < end) wrong.push(`mm ${mm.id}: VMA ${vma.start} overlaps the one below`);
          if (vma.mm !== mm || vma.detached)
            wrong.push(`mm ${mm.id}: VMA ${vma.start} is detached`);
          end = vma.end;
        }
      }
      return wrong;
    },
  },
  {
    id: 'mm.sizes',
    claim:
      'an mm has the pages of its VMAs: in all, data, code, stack, locked; locked ones also those ' +
      'that MREMAP_DONTUNMAP unlocked [44]',
    check(kernel) {
      return [...kernel.mms].flatMap((mm) => sizeProblems(mm));
    },
  },
  {
    id: 'vma.untouched-offset',
    claim:
      'private anonymous memory that never had an anon_vma has its page numbers as offsets [45]',
    check(kernel) {
      const wrong: string[] = [];
      for (const mm of kernel.mms) {
        for (const vma of mm.vmas) {
          if (!isAnonymous(vma) || vma.anonVma !== undefined || vma.lostAnonVma) continue;
          if (vma.pgoff !== vma.start) {
            wrong.push(`mm ${mm.id}: VMA ${vma.start} without anon_vma has offset ${vma.pgoff}`);
          }
        }
      }
      return wrong;
    },
  },
  {
    id: 'vma.no-anon-without-anon-vma',
    claim: 'a VMA without anon_vma holds no anonymous pages [45]',
    check(kernel, census) {
      const wrong: string[] = [];
      for (const { pfn, vma, vpn } of census.mapped) {
        if (vma.anonVma !== undefined) continue;
        if (isAnonFolio(kernel, kernel.memory.folioOf(pfn))) {
          wrong.push(`mm ${vma.mm.id} has an anonymous page at ${vpn} without anon_vma`);
        }
      }
      return wrong;
    },
  },
  {
    id: 'vma.mlocked-is-unevictable',
    claim: 'a mapped folio is mlocked iff it is unevictable, once batches are drained [47]',
    check(kernel, census) {
      const wrong: string[] = [];
      for (const head of census.mappedHeads(kernel)) {
        const flags = kernel.memory.flags[head];
        const both = flags & (PG_MLOCKED | PG_UNEVICTABLE);
        if (both === PG_MLOCKED || both === PG_UNEVICTABLE) {
          wrong.push(`folio ${head} is mlocked or unevictable, not both`);
        }
      }
      return wrong;
    },
  },
  {
    id: 'vma.whole-huge-entries',
    claim: 'a huge entry lies in its VMA completely, on its alignment [49]',
    check(kernel, census) {
      const wrong: string[] = [];
      for (const [head, entries] of census.leaves) {
        const isHugetlb = (kernel.memory.flags[head] & PG_HUGETLB) !== 0;
        for (const { vma, vpn, pages, level } of entries) {
          const span = level === 2 ? PAGES_PER_PMD : PAGES_PER_PMD * PAGES_PER_PMD;
          if (pages !== span || vpn % span !== 0) {
            wrong.push(
              `mm ${vma.mm.id}: the huge entry at ${vpn} covers ${pages} pages of its VMA`,
            );
          }
          if (!isHugetlb && (kernel.memory.flags[head] & PG_HEAD) === 0) {
            wrong.push(`the huge entry at ${vpn} shows no large folio`);
          }
        }
      }
      return wrong;
    },
  },
  {
    id: 'vma.deposited-tables',
    claim: 'a huge entry of anonymous memory has an empty page table in store, no other has [49]',
    check(kernel, census) {
      const { deposited, flags } = kernel.pageTables;
      const wrong: string[] = [];
      for (const table of new Set([...census.anonPmds.keys(), ...deposited.keys()])) {
        const stored = deposited.get(table) ?? [];
        const wanted = census.anonPmds.get(table) ?? 0;
        if (stored.length !== wanted) {
          wrong.push(`PMD table ${table} stores ${stored.length} tables for ${wanted} entries`);
        }
        for (const node of stored) {
          const from = node * ENTRIES_PER_TABLE;
          const isEmpty = flags.subarray(from, from + ENTRIES_PER_TABLE).every((one) => one === 0);
          if (!isEmpty) wrong.push(`the stored page table ${node} is not empty`);
        }
      }
      return wrong;
    },
  },
  {
    id: 'mm.write-protect-seq',
    claim: 'write_protect_seq is even when no fork is in progress [50]',
    check(kernel) {
      return [...kernel.mms]
        .filter((mm) => mm.writeProtectSeq % 2 === 1)
        .map((mm) => `mm ${mm.id} is in the middle of a fork`);
    },
  },
  {
    id: 'mm.tlb-batches',
    claim: 'no more deferred flushes are done than were put off [50]',
    check(kernel) {
      return [...kernel.mms]
        .filter((mm) => mm.tlbFlushed > mm.tlbPending)
        .map((mm) => `mm ${mm.id}: ${mm.tlbFlushed} of ${mm.tlbPending} flushes are done`);
    },
  },
  {
    id: 'mm.locks-free',
    claim: 'no lock is held when no operation is in flight',
    check(kernel) {
      const wrong: string[] = [];
      for (const mm of kernel.mms) {
        for (const lock of [mm.mmapLock, mm.pageTableLock]) {
          if (lock.readers !== 0 || lock.writers !== 0) wrong.push(`${lock.name} is held`);
        }
        if (mm.lockSequence % 2 !== 0) wrong.push(`VMAs of mm ${mm.id} are locked`);
        for (const { lock, start } of mm.vmas) {
          if (lock.readers !== 0) wrong.push(`VMA ${start} of mm ${mm.id} is held`);
        }
      }
      for (const { rwsem } of kernel.anonVmas) {
        if (rwsem.readers !== 0 || rwsem.writers !== 0) wrong.push(`${rwsem.name} is held`);
      }
      return wrong;
    },
  },
  {
    id: 'tlb.no-stale-translation',
    claim:
      'no translation leads to a page that is free or not mapped there, or allows a write that the entry forbids [51]',
    check(kernel) {
      const stale = kernel.tlb?.findStale(kernel) ?? [];
      return stale.map(({ mm, vpn, problem }) => `mm ${mm.id} page ${vpn}: ${problem}`);
    },
  },
  {
    id: 'ksm.read-only',
    claim: 'KSM pages are never mapped writable and are small',
    check(kernel, census) {
      const wrong: string[] = [];
      for (const { pfn, vpn, flags } of census.mapped) {
        if (!isKsmFolio(kernel, kernel.memory.folioOf(pfn))) continue;
        if ((flags & PTE_WRITE) !== 0) wrong.push(`KSM page ${pfn} is writable at ${vpn}`);
        if ((kernel.memory.flags[pfn] & PG_HEAD) !== 0) wrong.push(`KSM page ${pfn} is large`);
      }
      return wrong;
    },
  },
];
