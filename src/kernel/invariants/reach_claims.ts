/** Every mapping can be found from its folio (spec 90 A4). */
import type { Kernel } from '../kernel.js';
import {
  folioAnonVma,
  folioMapping,
  folioPageCount,
  isAnonFolio,
  isKsmFolio,
} from '../phys/folio.js';
import { PG_HUGETLB } from '../phys/page_flags.js';
import { firstAvc, nextAvc } from '../rmap/anon_vma_chain.js';
import { linearPageIndex, type Vma } from '../vm/vma.js';
import type { MappedEntry } from './census.js';
import type { Invariant } from './invariant.js';

/** Offset that the entry's page has in its mapping according to the folio. */
function folioIndexOf(kernel: Kernel, { pfn }: MappedEntry): number {
  const head = kernel.memory.folioOf(pfn);
  return kernel.memory.index[head] + (pfn - head);
}

function anonProblem(kernel: Kernel, found: MappedEntry): string | undefined {
  const { vma, vpn, pfn } = found;
  const head = kernel.memory.folioOf(pfn);
  const anonVma = folioAnonVma(kernel, head);
  const where = `anonymous page ${pfn} at ${vpn} of mm ${vma.mm.id}`;
  if (vma.anonVma === undefined) return `${where}: its VMA has no anon_vma`;
  if (anonVma === undefined || anonVma.refcount === 0) return `${where}: its anon_vma is dead`;
  if (!vma.anonVmaChain.some((edge) => edge.anonVma === anonVma)) {
    return `${where}: no edge leads from anon_vma ${anonVma.id} to its VMA`;
  }
  if (anonVma.root !== vma.anonVma.root) return `${where}: another root`;
  if (folioIndexOf(kernel, found) !== linearPageIndex(vma, vpn)) {
    return `${where}: index ${folioIndexOf(kernel, found)}, the VMA says ${linearPageIndex(vma, vpn)}`;
  }
  return undefined;
}

/** VMAs on the folio's anon_vma tree that overlap it: what a walk visits. */
function visitedVmas(kernel: Kernel, head: number): Set<Vma> {
  const visited = new Set<Vma>();
  const anonVma = folioAnonVma(kernel, head);
  if (anonVma === undefined) return visited;
  const first = kernel.memory.index[head];
  const last = first + folioPageCount(kernel, head) - 1;
  for (
    let avc = firstAvc(kernel, anonVma, first, last);
    avc !== undefined;
    avc = nextAvc(kernel, avc, first, last)
  ) {
    visited.add(avc.vma);
  }
  return visited;
}

export const REACH_CLAIMS: readonly Invariant[] = [
  {
    id: 'reach.anonymous',
    claim:
      'a walk from an anonymous folio visits every VMA that maps it, at the right page [27, 31, 32]',
    check(kernel, census) {
      const wrong: string[] = [];
      for (const found of census.mapped) {
        const head = kernel.memory.folioOf(found.pfn);
        if (!isAnonFolio(kernel, head) || isKsmFolio(kernel, head)) continue;
        const problem = anonProblem(kernel, found);
        if (problem !== undefined) wrong.push(problem);
      }
      return wrong;
    },
  },
  {
    id: 'reach.walk',
    claim:
      'the tree of a folio leads to each VMA that maps it, to both of two with the same offsets ' +
      '[27, 42]',
    check(kernel, census) {
      const wrong: string[] = [];
      const visited = new Map<number, Set<Vma>>();
      for (const { pfn, vma, vpn } of census.mapped) {
        const head = kernel.memory.folioOf(pfn);
        if (!isAnonFolio(kernel, head) || isKsmFolio(kernel, head)) continue;
        const vmas = visited.get(head) ?? visitedVmas(kernel, head);
        visited.set(head, vmas);
        if (!vmas.has(vma)) wrong.push(`no walk of folio ${head} visits ${vpn} of mm ${vma.mm.id}`);
      }
      return wrong;
    },
  },
  {
    id: 'reach.migration',
    claim: 'a VMA with anonymous migration or swap entries has an anon_vma [28, 45]',
    check(kernel, census) {
      const wrong: string[] = [];
      for (const { vma, vpn } of census.swaps) {
        if (vma.anonVma === undefined) wrong.push(`swap entry at ${vpn} in a VMA without anon_vma`);
      }
      for (const [pfn, entries] of census.migrations) {
        if (!isAnonFolio(kernel, kernel.memory.folioOf(pfn))) continue;
        for (const { vma, vpn } of entries) {
          if (vma.anonVma === undefined) wrong.push(`migration entry at ${vpn} without anon_vma`);
        }
      }
      return wrong;
    },
  },
  {
    id: 'reach.no-leftover',
    claim: 'no migration entry is left when no migration is in progress [21, 28]',
    check(_kernel, census) {
      return [...census.migrations.values()]
        .flat()
        .map(({ vma, vpn }) => `mm ${vma.mm.id} waits for a migration at ${vpn}`);
    },
  },
  {
    id: 'reach.ksm',
    claim:
      'every mapping of a KSM page is at the page of one of its items, or of a fork of it, unless ' +
      'the page was shared before it was merged [29]',
    check(kernel, census) {
      const wrong: string[] = [];
      for (const { pfn, vma, vpn } of census.mapped) {
        if (!isKsmFolio(kernel, pfn)) continue;
        const nodeId = kernel.memory.mapping[pfn] >> 2;
        const node = kernel.ksm.nodes[nodeId];
        // Id 0: a merge that was taken back half-way leaves a KSM page without a node to sharers.
        if (nodeId === 0 || node?.wasShared === true) continue;
        const isFound = node?.items.some(
          (item) =>
            item.vpn === vpn &&
            (item.mm === vma.mm || vma.anonVmaChain.some((edge) => edge.anonVma === item.anonVma)),
        );
        if (isFound !== true) wrong.push(`no item leads to KSM page ${pfn} at ${vpn}`);
      }
      return wrong;
    },
  },
  {
    id: 'reach.file',
    claim:
      'a file page is mapped by VMAs on the i_mmap tree, at the right page, and is cached [30]',
    check(kernel, census) {
      const wrong: string[] = [];
      for (const found of census.mapped) {
        const { pfn, vma, vpn } = found;
        const head = kernel.memory.folioOf(pfn);
        if (isAnonFolio(kernel, head)) continue;
        const mapping = folioMapping(kernel, head);
        const where = `file page ${pfn} at ${vpn} of mm ${vma.mm.id}`;
        if (mapping === undefined) wrong.push(`${where} belongs to no file`);
        else if (vma.file?.mapping !== mapping) wrong.push(`${where} is of another file`);
        else if (kernel.vmaOfRow[vma.sharedRow] !== vma) wrong.push(`${where}: not on i_mmap`);
        else if (
          (kernel.memory.flags[head] & PG_HUGETLB) === 0 &&
          folioIndexOf(kernel, found) !== linearPageIndex(vma, vpn)
        ) {
          wrong.push(`${where} has index ${folioIndexOf(kernel, found)}`);
        }
      }
      return wrong;
    },
  },
];
