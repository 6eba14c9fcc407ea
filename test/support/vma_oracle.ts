import { checkIntervalTree } from '../../src/base/interval_tree_check.js';
import type { IntervalTree } from '../../src/base/interval_tree.js';
import { NIL } from '../../src/base/units.js';
import type { Kernel } from '../../src/kernel/kernel.js';
import type { Vma } from '../../src/kernel/vm/vma.js';

/**
 * What is wrong with VMAs, chains, anon_vmas and their trees (spec 90 A5, A6): everything is
 * counted anew from the VMAs. The machine is at rest and has no KSM pages.
 */
export function vmaProblems(kernel: Kernel): string[] {
  const problems: string[] = [];
  const vmas = [...kernel.mms].flatMap((mm) => mm.vmas);
  for (const mm of kernel.mms) {
    for (const [i, vma] of mm.vmas.entries()) {
      if (vma.start >= vma.end) problems.push(`VMA ${vma.start} is empty`);
      const below = mm.vmas[i - 1];
      if (below !== undefined && below.end > vma.start) problems.push(`VMA ${vma.start} overlaps`);
    }
  }
  for (const vma of vmas) problems.push(...chainProblems(kernel, vma));
  for (const mapping of kernel.mappings) {
    if (mapping === undefined) continue;
    const mapped = vmas.filter(({ file }) => file?.mapping === mapping).length;
    const onTree = rowCount(kernel, mapping.iMmap);
    if (onTree !== mapped) problems.push(`file ${mapping.id}: ${onTree} VMAs on its tree`);
  }
  problems.push(...sameAnonVmaProblems(vmas));
  problems.push(...anonVmaProblems(kernel, vmas));
  return problems;
}

function chainProblems(kernel: Kernel, vma: Vma): string[] {
  const problems: string[] = [];
  const name = `mm ${vma.mm.id} VMA ${vma.start}`;
  const { intervals } = kernel;
  if (vma.detached) problems.push(`${name} is detached`);
  if (vma.file !== undefined) {
    if (kernel.vmaOfRow[vma.sharedRow] !== vma) problems.push(`${name} has another's i_mmap row`);
    if (!hasKey(kernel, vma.sharedRow, vma)) problems.push(`${name} has an old i_mmap key`);
    const wrong = checkIntervalTree(intervals, vma.file.mapping.iMmap);
    if (wrong !== undefined) problems.push(`${name}: ${wrong}`);
  }
  const own = vma.anonVma;
  const chain = vma.anonVmaChain.map(({ anonVma }) => anonVma);
  if ((own === undefined) !== (chain.length === 0)) problems.push(`${name}: own without chain`);
  if (own === undefined) return problems;
  if (!chain.includes(own)) problems.push(`${name} is not connected to its own anon_vma`);
  if (new Set(chain).size !== chain.length) problems.push(`${name} is connected twice`);
  const oldest = chain[chain.length - 1];
  if (oldest.root !== oldest) problems.push(`${name}: the oldest anon_vma is no root`);
  for (const [i, anonVma] of chain.entries()) {
    if (anonVma.root !== oldest) problems.push(`${name}: anon_vma ${anonVma.id} has another root`);
    if (!chain.includes(anonVma.parent)) problems.push(`${name}: no parent of ${anonVma.id}`);
    if (chain.indexOf(anonVma.parent) < i) problems.push(`${name}: parent before ${anonVma.id}`);
    const { row, vma: back } = vma.anonVmaChain[i];
    if (back !== vma || kernel.avcOfRow[row] !== vma.anonVmaChain[i]) {
      problems.push(`${name}: edge to ${anonVma.id} is not on the tree`);
    }
    if (!hasKey(kernel, row, vma)) problems.push(`${name}: old key in ${anonVma.id}`);
  }
  return problems;
}

function hasKey(kernel: Kernel, row: number, vma: Vma): boolean {
  return (
    row !== NIL &&
    kernel.intervals.start[row] === vma.pgoff &&
    kernel.intervals.last[row] === vma.lastPgoff
  );
}

function rowCount({ intervals }: Kernel, tree: IntervalTree): number {
  let count = 0;
  for (let row = intervals.firstRow(tree); row !== NIL; row = intervals.nextRow(row)) count += 1;
  return count;
}

/** VMAs with the same anon_vma must lead to the same set of anon_vmas: merging relies on it. */
function sameAnonVmaProblems(vmas: readonly Vma[]): string[] {
  const first = new Map<number, Vma>();
  const problems: string[] = [];
  for (const vma of vmas) {
    if (vma.anonVma === undefined) continue;
    const { id } = vma.anonVma;
    const other = first.get(id) ?? vma;
    first.set(id, other);
    if (other.mm !== vma.mm) problems.push(`anon_vma ${id} is own of two address spaces`);
    if (chainIds(other) !== chainIds(vma)) problems.push(`anon_vma ${id} is own of two chains`);
  }
  return problems;
}

function chainIds(vma: Vma): string {
  return vma.anonVmaChain.map(({ anonVma }) => anonVma.id).join();
}

function anonVmaProblems(kernel: Kernel, vmas: readonly Vma[]): string[] {
  const problems: string[] = [];
  const { intervals } = kernel;
  const live = kernel.anonVmas.filter(({ refcount }) => refcount !== 0);
  for (const anonVma of live) {
    const { id, tree } = anonVma;
    const wrong = checkIntervalTree(intervals, tree);
    if (wrong !== undefined) problems.push(`anon_vma ${id}: ${wrong}`);
    const onTree = rowCount(kernel, tree);
    const connected = vmas.filter((vma) => vma.anonVmaChain.some((avc) => avc.anonVma === anonVma));
    if (onTree === 0) problems.push(`anon_vma ${id} lives with an empty tree`);
    if (onTree !== connected.length) problems.push(`anon_vma ${id}: ${onTree} edges on its tree`);
    const active = vmas.filter((vma) => vma.anonVma === anonVma).length;
    if (anonVma.activeVmaCount !== active) problems.push(`anon_vma ${id}: ${active} are active`);
    const children = live.filter(({ parent }) => parent === anonVma).length;
    if (anonVma.childCount !== children) problems.push(`anon_vma ${id}: ${children} children`);
    const members = live.filter(({ root }) => root === anonVma).length;
    const refcount = anonVma.root === anonVma ? members : 1;
    if (anonVma.refcount !== refcount) problems.push(`anon_vma ${id}: ${refcount} references`);
    if (anonVma.root.refcount === 0 || anonVma.parent.refcount === 0) {
      problems.push(`anon_vma ${id} outlives its root or parent`);
    }
  }
  return problems;
}
