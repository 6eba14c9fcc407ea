/** Operations on mappings: mmap, munmap, mprotect, mremap, mlock, brk. */
import type { Prot } from '../../kernel/operation.js';
import type { World } from './world.js';

/** Adds one operation (or a few that belong together) to the scenario. */
export type Action = (world: World) => void;

const PROTS: ReadonlyArray<readonly [number, Prot]> = [
  [14, 'rw'],
  [3, 'r'],
  [2, 'n'],
  [1, 'rwx'],
  [0.5, 'x'],
];

function extraFlags(world: World): string {
  const { rng } = world;
  let flags = '';
  if (rng.chance(0.08)) flags += '|populate';
  if (rng.chance(0.04)) flags += '|locked';
  if (rng.chance(0.04)) flags += '|noreserve';
  return flags;
}

export const mapAnonymous: Action = (world) => {
  const { rng } = world;
  const isFixed = rng.chance(0.7) ? '|fixed' : '';
  const flags = `private|anon${isFixed}${extraFlags(world)}`;
  const prot = rng.weighted(PROTS);
  world.emit({ op: 'mmap', p: world.process(), ...world.range(), prot, flags });
};

/** The same without an exotic protection or flag. */
export const mapPlain: Action = (world) => {
  const flags = 'private|anon|fixed';
  world.emit({ op: 'mmap', p: world.process(), ...world.range(), prot: 'rw', flags });
};

/** A stack: it grows down, and huge pages are off with `stack`. */
export const mapStack: Action = (world) => {
  const { rng } = world;
  const flags = `private|anon|fixed|${rng.pick(['growsdown', 'growsdown', 'stack'])}`;
  world.emit({ op: 'mmap', p: world.process(), ...world.range(), prot: 'rw', flags });
};

export const mapShared: Action = (world) => {
  const prot = world.rng.weighted(PROTS);
  const flags = `shared|anon|fixed${extraFlags(world)}`;
  world.emit({ op: 'mmap', p: world.process(), ...world.range(), prot, flags });
};

export const mapFile: Action = (world) => {
  const { rng } = world;
  const files = world.plainFiles;
  if (files.length === 0) return;
  const file = rng.pick(files);
  const sharing = rng.pick(['private', 'private', 'shared']);
  const { at, n } = world.range();
  const isLarge = world.space.grain > 1;
  // Large folios need file and memory to be aligned alike.
  const off = isLarge && rng.chance(0.6) ? at % 512 : rng.below(Math.max(1, file.pages));
  const flags = `${sharing}|fixed${extraFlags(world)}`;
  const prot = rng.weighted(PROTS);
  world.emit({ op: 'mmap', p: world.process(), at, n, prot, flags, file: file.id, off });
};

/** A file from its start, at a multiple of a huge page. */
export const mapWholeFile: Action = (world) => {
  const { rng, space } = world;
  const files = world.plainFiles;
  if (files.length === 0) return;
  const { id, pages } = rng.pick(files);
  const n = rng.chance(0.7) ? Math.ceil(pages / 512) * 512 : pages;
  const blocks = Math.max(1, Math.floor((space.pages - n) / 512) + 1);
  const at = space.start + rng.below(blocks) * 512;
  const flags = `${rng.pick(['private', 'shared', 'shared'])}|fixed`;
  world.emit({ op: 'mmap', p: world.process(), at, n, prot: 'rw', flags, file: id, off: 0 });
};

export const unmap: Action = (world) => {
  world.emit({ op: 'munmap', p: world.process(), ...world.range() });
};

export const protect: Action = (world) => {
  const prot = world.rng.weighted(PROTS);
  world.emit({ op: 'mprotect', p: world.process(), ...world.range(), prot });
};

export const lock: Action = (world) => {
  const { rng } = world;
  const { at, n } = world.range();
  const onfault = rng.chance(0.2) ? { onfault: 1 } : {};
  // More than one batch of pages in one call: when it is flushed cannot be known.
  world.emit({ op: 'mlock', p: world.process(), at, n: Math.min(n, 30), ...onfault });
};

export const lockWhole: Action = (world) => {
  world.emit({ op: 'mlock', p: world.process(), ...world.alignedRange() });
};

export const unlock: Action = (world) => {
  world.emit({ op: 'munlock', p: world.process(), ...world.range() });
};

/** Moves, shrinks and grows. What would go to a place of the kernel's choice is left out. */
export const remap: Action = (world) => {
  const { rng, space } = world;
  const p = world.process();
  const { at, n } = rng.chance(0.6) ? world.alignedRange() : world.range();
  const kind = rng.weighted([
    [6, 'move'],
    [3, 'dontunmap'],
    [1, 'resize'],
    [1, 'shrink'],
    [1, 'grow'],
  ]);
  if (kind === 'shrink' || kind === 'grow') {
    const change = rng.between(1, Math.max(1, space.mostGrains)) * space.grain;
    const length = kind === 'grow' ? n + change : Math.max(1, n - change);
    world.emit({ op: 'mremap', p, at, n, new: length, flags: 'none' });
    return;
  }
  const isDontunmap = kind === 'dontunmap';
  const resized = Math.max(1, n + rng.between(-2, 2) * space.grain);
  const length = kind === 'resize' ? resized : n;
  const alignment = rng.chance(0.8) ? space.grain : 1;
  const to = world.target(length, alignment);
  const flags = isDontunmap ? 'fixed|dontunmap' : 'fixed';
  world.emit({ op: 'mremap', p, at, n, new: length, to, flags });
};

export const moveBreak: Action = (world) => {
  if (!world.hasBreak) return;
  world.emit({ op: 'brk', p: world.process(), at: world.page() });
};
