/** The graph of anon_vmas and the interval trees (spec 90 A5). */
import { checkIntervalTree } from '../../base/interval_tree_check.js';
import type { IntervalTree } from '../../base/interval_tree.js';
import { NIL } from '../../base/units.js';
import type { Kernel } from '../kernel.js';
import type { AnonVma } from '../rmap/anon_vma_types.js';
import type { Vma } from '../vm/vma.js';
import type { Invariant } from './invariant.js';

function allVmas(kernel: Kernel): Vma[] {
  return [...kernel.mms].flatMap((mm) => mm.vmas);
}

function livingAnonVmas(kernel: Kernel): AnonVma[] {
  return kernel.anonVmas.filter((anonVma) => anonVma.refcount !== 0);
}

function rowsOf({ intervals }: Kernel, tree: IntervalTree): number[] {
  const rows: number[] = [];
  for (let row = intervals.firstRow(tree); row !== NIL; row = intervals.nextRow(row))
    rows.push(row);
  return rows;
}

/** References that KSM items hold, by anon_vma. */
function ksmReferences(kernel: Kernel): Map<AnonVma, number> {
  const held = new Map<AnonVma, number>();
  for (const node of kernel.ksm.nodes) {
    if (node === undefined) continue;
    for (const { anonVma } of node.items) held.set(anonVma, (held.get(anonVma) ?? 0) + 1);
  }
  return held;
}

function nameOf(vma: Vma): string {
  return `mm ${vma.mm.id} VMA ${vma.start}`;
}

export const ANON_VMA_CLAIMS: readonly Invariant[] = [
  {
    id: 'anon-vma.refcount',
    claim:
      'a root has a reference of itself and of each living descendant, others one; plus KSM [33]',
    check(kernel) {
      const wrong: string[] = [];
      const ksm = ksmReferences(kernel);
      const living = livingAnonVmas(kernel);
      for (const anonVma of living) {
        const members = living.filter(({ root }) => root === anonVma).length;
        const isLinked = anonVma.tree.root !== NIL ? 1 : 0;
        const own = anonVma.root === anonVma ? members - 1 + isLinked : isLinked;
        const expected = own + (ksm.get(anonVma) ?? 0);
        if (anonVma.refcount !== expected) {
          wrong.push(`anon_vma ${anonVma.id} has ${anonVma.refcount} references, not ${expected}`);
        }
      }
      return wrong;
    },
  },
  {
    id: 'anon-vma.children',
    claim: 'an anon_vma counts those whose parent it is and whose tree is not empty [34]',
    check(kernel) {
      const wrong: string[] = [];
      const living = livingAnonVmas(kernel);
      for (const anonVma of living) {
        const children = living.filter(
          ({ parent, tree }) => parent === anonVma && tree.root !== NIL,
        ).length;
        if (anonVma.childCount !== children) {
          wrong.push(
            `anon_vma ${anonVma.id} counts ${anonVma.childCount} children, has ${children}`,
          );
        }
      }
      return wrong;
    },
  },
  {
    id: 'anon-vma.active',
    claim: 'an anon_vma counts the VMAs whose own it is [35]',
    check(kernel) {
      const wrong: string[] = [];
      const active = new Map<AnonVma, number>();
      for (const { anonVma } of allVmas(kernel)) {
        if (anonVma !== undefined) active.set(anonVma, (active.get(anonVma) ?? 0) + 1);
      }
      for (const anonVma of livingAnonVmas(kernel)) {
        const expected = active.get(anonVma) ?? 0;
        if (anonVma.activeVmaCount !== expected) {
          wrong.push(
            `anon_vma ${anonVma.id} counts ${anonVma.activeVmaCount} VMAs, has ${expected}`,
          );
        }
      }
      return wrong;
    },
  },
  {
    id: 'anon-vma.edges',
    claim: 'each edge is on one list and one tree, under the current key, once per pair [36, 43]',
    check(kernel) {
      const wrong: string[] = [];
      const { intervals } = kernel;
      let edges = 0;
      for (const vma of allVmas(kernel)) {
        const seen = new Set<AnonVma>();
        for (const edge of vma.anonVmaChain) {
          edges += 1;
          const { row, anonVma } = edge;
          if (edge.vma !== vma || kernel.avcOfRow[row] !== edge) {
            wrong.push(`${nameOf(vma)}: its edge to anon_vma ${anonVma.id} is not on the tree`);
          }
          if (intervals.start[row] !== vma.pgoff || intervals.last[row] !== vma.lastPgoff) {
            wrong.push(`${nameOf(vma)}: old key in the tree of anon_vma ${anonVma.id}`);
          }
          if (seen.has(anonVma)) wrong.push(`${nameOf(vma)}: two edges to anon_vma ${anonVma.id}`);
          seen.add(anonVma);
        }
      }
      let rows = 0;
      for (const { tree } of livingAnonVmas(kernel)) rows += rowsOf(kernel, tree).length;
      if (rows !== edges) wrong.push(`${rows} edges on trees, ${edges} on lists`);
      return wrong;
    },
  },
  {
    id: 'anon-vma.chain',
    claim: 'a VMA has an own anon_vma iff it has a chain, which contains it [37]',
    check(kernel) {
      const wrong: string[] = [];
      for (const vma of allVmas(kernel)) {
        const { anonVma, anonVmaChain } = vma;
        if ((anonVma === undefined) !== (anonVmaChain.length === 0)) {
          wrong.push(`${nameOf(vma)} has ${anonVmaChain.length} edges and own ${anonVma?.id}`);
        } else if (
          anonVma !== undefined &&
          !anonVmaChain.some((edge) => edge.anonVma === anonVma)
        ) {
          wrong.push(`${nameOf(vma)} is not connected to its own anon_vma`);
        }
      }
      return wrong;
    },
  },
  {
    id: 'anon-vma.ancestry',
    claim: 'a chain runs newest to oldest, ends in its root, and holds the parent of each [38, 39]',
    check(kernel) {
      const wrong: string[] = [];
      for (const vma of allVmas(kernel)) {
        const chain = vma.anonVmaChain.map((edge) => edge.anonVma);
        const oldest = chain[chain.length - 1];
        if (oldest === undefined) continue;
        if (oldest.root !== oldest) wrong.push(`${nameOf(vma)}: the oldest anon_vma is no root`);
        for (const [i, anonVma] of chain.entries()) {
          if (anonVma.root !== oldest) wrong.push(`${nameOf(vma)}: ${anonVma.id} has another root`);
          const parentAt = chain.indexOf(anonVma.parent);
          if (parentAt < i) wrong.push(`${nameOf(vma)}: parent of ${anonVma.id} missing or newer`);
        }
      }
      return wrong;
    },
  },
  {
    id: 'anon-vma.merge-assumption',
    claim: 'VMAs with the same own anon_vma are in one mm and have the same chain [40]',
    check(kernel) {
      const wrong: string[] = [];
      const first = new Map<AnonVma, Vma>();
      const idsOf = (vma: Vma): string => vma.anonVmaChain.map((edge) => edge.anonVma.id).join();
      for (const vma of allVmas(kernel)) {
        if (vma.anonVma === undefined) continue;
        const other = first.get(vma.anonVma) ?? vma;
        first.set(vma.anonVma, other);
        if (other.mm !== vma.mm) wrong.push(`anon_vma ${vma.anonVma.id} is own in two mms`);
        else if (idsOf(other) !== idsOf(vma)) wrong.push(`anon_vma ${vma.anonVma.id}: two chains`);
      }
      return wrong;
    },
  },
  {
    id: 'anon-vma.lifetime',
    claim:
      'a living anon_vma has a living root, and a living parent while its tree is not empty [41]',
    check(kernel) {
      return livingAnonVmas(kernel)
        .filter(
          ({ root, parent, tree }) =>
            root.refcount === 0 || (tree.root !== NIL && parent.refcount === 0),
        )
        .map(({ id }) => `anon_vma ${id} outlives its root or parent`);
    },
  },
  {
    id: 'anon-vma.trees',
    claim: 'interval trees are ordered, balanced and rightly augmented [43]',
    check(kernel) {
      const wrong: string[] = [];
      for (const { id, tree } of livingAnonVmas(kernel)) {
        const problem = checkIntervalTree(kernel.intervals, tree);
        if (problem !== undefined) wrong.push(`anon_vma ${id}: ${problem}`);
      }
      for (const mapping of kernel.mappings) {
        const problem =
          mapping === undefined ? undefined : checkIntervalTree(kernel.intervals, mapping.iMmap);
        if (problem !== undefined) wrong.push(`file ${mapping?.id}: ${problem}`);
      }
      return wrong;
    },
  },
];
