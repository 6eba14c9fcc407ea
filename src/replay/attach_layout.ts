import type { Machine } from '../kernel/machine.js';
import type { Operation, Prot } from '../kernel/operation.js';
import type { SnapshotVma } from '../trace/snapshot.js';
import { protLetters } from './calls.js';
import type { ReplayFiles } from './replay_files.js';

/** A range of pages that one process maps, or once mapped, from one origin. */
interface Part {
  readonly start: number;
  readonly end: number;
  /** Ranges with the same key can be one mapping. */
  readonly key: string;
  readonly vma: SnapshotVma;
}

const PAGE_SIZE_BYTES = 4096;

/** Ranges of a process, ascending and apart. */
export class Layout {
  private readonly parts: Part[] = [];

  /** Adds what is free of the range of a VMA; returns the ranges that were added. */
  add(vma: SnapshotVma): Part[] {
    const key = keyOf(vma);
    const added = this.gapsIn(vma.startPage, vma.endPage).map(([start, end]) => {
      return { start, end, key, vma };
    });
    for (const part of added) this.parts.splice(this.firstBehind(part.start), 0, part);
    return added;
  }

  /** Adds a range that is mapped already, of the origin that a snapshot's VMA has there. */
  addMapped(vma: SnapshotVma, start: number, end: number): void {
    const part = { start, end, key: keyOf(vma), vma };
    if (!this.overlaps(start, end)) this.parts.splice(this.firstBehind(start), 0, part);
  }

  /** The parts of a VMA's range that are here with its origin. */
  keptOf(vma: SnapshotVma): Part[] {
    const key = keyOf(vma);
    return this.overlapping(vma.startPage, vma.endPage)
      .filter((part) => part.key === key)
      .map((part) => ({
        ...part,
        start: Math.max(part.start, vma.startPage),
        end: Math.min(part.end, vma.endPage),
      }));
  }

  overlaps(start: number, end: number): boolean {
    const first = this.parts[this.firstBehind(start)];
    return first !== undefined && first.start < end;
  }

  private overlapping(start: number, end: number): Part[] {
    const found: Part[] = [];
    for (let i = this.firstBehind(start); i < this.parts.length; i += 1) {
      const part = this.parts[i];
      if (part === undefined || part.start >= end) break;
      found.push(part);
    }
    return found;
  }

  /** Row of the first part that ends behind a page. */
  private firstBehind(page: number): number {
    let low = 0;
    let high = this.parts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.parts[middle]?.end ?? 0) <= page) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private gapsIn(start: number, end: number): Array<readonly [start: number, end: number]> {
    const gaps: Array<readonly [number, number]> = [];
    let at = start;
    for (const part of this.overlapping(start, end)) {
      if (at < part.start) gaps.push([at, part.start]);
      at = Math.max(at, part.end);
    }
    if (at < end) gaps.push([at, end]);
    return gaps;
  }
}

/** Whether a snapshot's VMA is private memory, whose pages can be anonymous. */
export function isPrivate(vma: SnapshotVma): boolean {
  return vma.perms[3] !== 's';
}

export function hasFlag(vma: SnapshotVma, flag: string): boolean {
  return vma.flags.split(' ').includes(flag);
}

function isAnonymous(vma: SnapshotVma): boolean {
  return vma.inode === 0 || vma.name === '' || vma.name.startsWith('[');
}

function keyOf(vma: SnapshotVma): string {
  if (isAnonymous(vma)) return isStack(vma) ? 'stack' : 'anonymous';
  const shift = Math.floor(vma.offsetBytes / PAGE_SIZE_BYTES) - vma.startPage;
  return `${vma.perms[3]} ${shift} ${vma.name}`;
}

function isStack(vma: SnapshotVma): boolean {
  return vma.name === '[stack]' || hasFlag(vma, 'gd');
}

/** Protection of a VMA as it is. */
export function protOf(vma: SnapshotVma): Prot {
  const [r, w, x] = vma.perms;
  return protLetters((r === 'r' ? 1 : 0) + (w === 'w' ? 2 : 0) + (x === 'x' ? 4 : 0));
}

/**
 * Maps a range of a VMA with nothing in it; private memory writable, so that pages can be put
 * there.
 */
export function mapPart(
  machine: Machine,
  files: ReplayFiles,
  p: number,
  vma: SnapshotVma,
  start: number,
  end: number,
): void {
  const prot = isPrivate(vma) ? 'rw' : protOf(vma);
  const common = { op: 'mmap' as const, p, at: start, n: end - start, prot };
  if (isAnonymous(vma)) {
    const sharing = isPrivate(vma) ? 'private' : 'shared';
    const growth = isStack(vma) ? '|growsdown' : '';
    machine.apply({ ...common, flags: `${sharing}|anon|fixed|noreserve${growth}` });
    return;
  }
  machine.apply({
    ...common,
    flags: `${isPrivate(vma) ? 'private' : 'shared'}|fixed|noreserve`,
    file: files.named(vma.name),
    off: Math.floor(vma.offsetBytes / PAGE_SIZE_BYTES) + (start - vma.startPage),
  });
}

/** Letters of VmFlags and the advice that sets them. */
const ADVICE = [
  ['dc', 'dontfork'],
  ['wf', 'wipeonfork'],
  ['mg', 'mergeable'],
  ['hg', 'hugepage'],
  ['nh', 'nohugepage'],
] as const;

/** Gives a VMA that holds its pages the rest of what the snapshot shows. */
export function finishVma(machine: Machine, p: number, vma: SnapshotVma): void {
  const at = vma.startPage;
  const n = vma.endPage - at;
  const operations: Operation[] = [];
  for (const [flag, advice] of ADVICE) {
    if (hasFlag(vma, flag)) operations.push({ op: 'madvise', p, at, n, advice });
  }
  const prot = protOf(vma);
  if (isPrivate(vma) && prot !== 'rw') operations.push({ op: 'mprotect', p, at, n, prot });
  // Any other lock would fill the range, and give its owner copies of shared pages.
  if (hasFlag(vma, 'lo')) operations.push({ op: 'mlock', p, at, n, onfault: 1 });
  for (const operation of operations) machine.apply(operation);
}
