/** Operations on files, swap, KSM, control groups, hugetlb and settings. */
import type { Prot } from '../../kernel/operation.js';
import type { Action } from './mapping_actions.js';
import type { World } from './world.js';

/** A range of a file, often up to or beyond its end. */
function filePart(world: World): { file: string | number; at: number; n: number } | undefined {
  const { rng } = world;
  const files = world.plainFiles;
  if (files.length === 0) return undefined;
  const { id, pages, kind } = rng.pick(files);
  const at = rng.below(pages);
  const most = kind === 'tmp' ? pages - at : Math.max(4, pages >> 2);
  return { file: id, at, n: rng.between(1, Math.max(1, most)) };
}

export const fileWrite: Action = (world) => {
  const part = filePart(world);
  if (part !== undefined) world.emit({ op: 'filewrite', ...part, v: world.value() });
};

export const fileRead: Action = (world) => {
  const part = filePart(world);
  if (part !== undefined) world.emit({ op: 'fileread', ...part });
};

export const filePunch: Action = (world) => {
  const part = filePart(world);
  if (part !== undefined) world.emit({ op: 'punch', ...part });
};

export const fileAdvise: Action = (world) => {
  const { rng } = world;
  const files = world.plainFiles;
  if (files.length === 0) return;
  const advice = rng.chance(0.7) ? 'noreuse' : 'normal';
  world.emit({ op: 'fadvise', file: rng.pick(files).id, advice });
};

/**
 * Maps a file of a disk, reads it and unmaps it: once more, and its pages are active, unless advice
 * keeps the use from being counted. Files in memory are active by what else is done to them.
 */
export const useFileOnce: Action = (world) => {
  const { rng } = world;
  const file = world.plainFiles.find(({ kind }) => kind === 'tmp');
  if (file === undefined) return;
  const p = world.process();
  const at = world.page();
  const n = Math.min(file.pages, world.space.start + world.space.pages - at);
  world.emit({ op: 'mmap', p, at, n, prot: 'r', flags: 'shared|fixed', file: file.id, off: 0 });
  if (rng.chance(0.4)) world.emit({ op: 'fadvise', file: file.id, advice: 'noreuse' });
  if (rng.chance(0.1)) world.emit({ op: 'fadvise', file: file.id, advice: 'normal' });
  world.emit({ op: 'read', p, at, n });
  world.emit({ op: 'munmap', p, at, n });
};

export const fileTruncate: Action = (world) => {
  const part = filePart(world);
  if (part === undefined) return;
  const facts = world.files.find(({ id }) => id === part.file);
  const n = world.rng.chance(0.5) ? part.at : (facts?.pages ?? 1);
  world.emit({ op: 'ftruncate', file: part.file, n });
};

export const swapOn: Action = (world) => {
  if (world.hasSwap) return;
  world.hasSwap = true;
  world.emit({ op: 'swapon', kind: 'zram' });
};

export const swapOff: Action = (world) => {
  if (!world.hasSwap) return;
  world.hasSwap = false;
  world.emit({ op: 'swapoff' });
};

export const ksmScans: Action = (world) => {
  world.emit({ op: 'ksm', scans: world.rng.between(1, 3) });
};

export const ksmUnmerge: Action = (world) => {
  world.emit({ op: 'ksm_unmerge' });
};

export const processMerge: Action = (world) => {
  world.emit({ op: 'prctl_merge', p: world.process(), on: world.rng.chance(0.7) ? 1 : 0 });
};

export const reclaim: Action = (world) => {
  world.emit({ op: 'reclaim' });
};

export const groupOff: Action = (world) => {
  const [p] = world.grouped;
  if (p === undefined || !world.processes.includes(p)) return;
  world.grouped.delete(p);
  world.emit({ op: 'memcg', p, on: 0 });
};

export const groupOn: Action = (world) => {
  const p = world.process();
  if (world.grouped.has(p)) return;
  world.grouped.add(p);
  world.emit({ op: 'memcg', p, on: 1 });
};

const HUGE_PROTS: ReadonlyArray<readonly [number, Prot]> = [
  [8, 'rw'],
  [1, 'r'],
  [1, 'n'],
];

export const mapHugetlb: Action = (world) => {
  const { rng } = world;
  const prot = rng.weighted(HUGE_PROTS);
  const range = world.alignedRange();
  const flags = `${rng.pick(['private', 'private', 'shared'])}|anon|hugetlb|fixed${
    rng.chance(0.25) ? '|noreserve' : ''
  }`;
  world.emit({ op: 'mmap', p: world.process(), ...range, prot, flags });
};

export const mapHugetlbFile: Action = (world) => {
  const { rng } = world;
  const files = world.files.filter(({ kind }) => kind === 'memfd_hugetlb');
  if (files.length === 0) return;
  const { id, pages } = rng.pick(files);
  const prot = rng.weighted(HUGE_PROTS);
  const flags = `${rng.pick(['private', 'shared'])}|fixed`;
  const off = rng.below(pages / 512) * 512;
  world.emit({
    op: 'mmap',
    p: world.process(),
    ...world.alignedRange(),
    prot,
    flags,
    file: id,
    off,
  });
};

export const hugetlbFileCut: Action = (world) => {
  const { rng } = world;
  const files = world.files.filter(({ kind }) => kind === 'memfd_hugetlb');
  if (files.length === 0) return;
  const { id, pages } = rng.pick(files);
  const at = rng.below(pages / 512) * 512;
  if (rng.chance(0.5)) world.emit({ op: 'punch', file: id, at, n: 512 });
  else world.emit({ op: 'ftruncate', file: id, n: rng.chance(0.5) ? at : pages });
};

/** Turns one of these settings. */
export function configure(
  choices: ReadonlyArray<readonly [key: string, values: ReadonlyArray<string | number>]>,
): Action {
  return (world) => {
    const [key, values] = world.rng.pick(choices);
    world.emit({ op: 'config', key, value: world.rng.pick(values) });
  };
}
