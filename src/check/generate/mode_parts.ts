/** Parts that several modes of the generator are made of. */
import * as access from './access_actions.js';
import * as mapping from './mapping_actions.js';
import type { Action } from './mapping_actions.js';
import * as system from './system_actions.js';
import * as userfault from './userfault_actions.js';
import type { FileFacts, Space, World } from './world.js';

/** Actions with their weights. */
export type Weighted = ReadonlyArray<readonly [weight: number, action: Action]>;

export interface Mode {
  readonly space: Space;
  /** NUMA nodes of the machine; 1 if absent. */
  readonly nodes?: number;
  /** Most operations of a scenario, where each is slow. */
  readonly mostOperations?: number;
  /** Values that are written; empty: every write another one. */
  readonly values?: readonly number[];
  /** What each scenario starts with. */
  readonly start?: Action;
  readonly actions: Weighted;
}

export const SMALL: Space = {
  start: 16,
  pages: 48,
  grain: 1,
  mostGrains: 12,
  targetStart: 80,
  targetPages: 80,
};
export const MEDIUM: Space = {
  start: 512,
  pages: 192,
  grain: 16,
  mostGrains: 5,
  targetStart: 1024,
  targetPages: 512,
};
export const LARGE: Space = {
  start: 512,
  pages: 2048,
  grain: 128,
  mostGrains: 9,
  targetStart: 3072,
  targetPages: 2048,
};
export const BLOCKS: Space = {
  start: 512,
  pages: 2048,
  grain: 512,
  mostGrains: 2,
  targetStart: 3072,
  targetPages: 2048,
};

export const BASIC: Weighted = [
  [10, access.write],
  [6, access.read],
  [4, mapping.mapPlain],
  [3, mapping.mapAnonymous],
  [4, mapping.unmap],
  [5, mapping.protect],
  [6, mapping.remap],
  [6, access.fork],
  [3, access.exit],
  [3, access.advise(access.ZAP_ADVICE)],
];
/**
 * For memory of huge pages. No mremap: Linux loses promised pages for good when a part of a private
 * mapping is moved.
 */
export const HUGE_BASIC: Weighted = [
  [10, access.write],
  [6, access.read],
  [5, access.fork],
  [3, access.exit],
  [2, mapping.unmap],
  [3, mapping.protect],
  [2, access.advise(access.ZAP_ADVICE)],
];
export const HOLDERS: Weighted = [
  [1.5, access.pin],
  [1, access.unpin],
  [1, access.splice],
  [0.8, access.drainPipe],
  [1, access.forceWrite],
  [1, access.writeOther],
];
export const LOCKS: Weighted = [
  [1, mapping.lock],
  [1, mapping.unlock],
];
export const POPULATES = access.advise(access.POPULATE_ADVICE);
export const GUARDS = access.advise(access.GUARD_ADVICE);
export const FLAGS = access.advise(access.FLAG_ADVICE);

export const THP_MODES = ['always', 'madvise', 'never'] as const;
export const SIZES = ['16kB', '32kB', '64kB', '128kB', '256kB', '512kB', '1024kB'] as const;

/** Some sizes of folios for anonymous memory. */
export const anonymousSizes: Action = (world) => {
  const { rng } = world;
  const count = rng.between(1, 3);
  for (let i = 0; i < count; i += 1) {
    const size = rng.pick(SIZES);
    const value = rng.pick(['always', 'always', 'madvise', 'inherit']);
    world.emit({ op: 'config', key: `mthp.${size}`, value });
  }
  if (rng.chance(0.2)) world.emit({ op: 'config', key: 'thp', value: rng.pick(THP_MODES) });
};

export const startMapped: Action = (world) => {
  const { start, pages } = world.space;
  const flags = 'private|anon';
  world.emit({ op: 'mmap', p: 0, at: start, n: Math.floor(pages * 0.7), prot: 'rw', flags });
};

export function inOrder(...actions: readonly Action[]): Action {
  return (world) => {
    for (const action of actions) action(world);
  };
}

export function sometimes(probability: number, action: Action): Action {
  return (world) => {
    if (world.rng.chance(probability)) action(world);
  };
}

export const hugePages: Action = (world) => {
  world.emit({ op: 'config', key: 'thp', value: 'always' });
};

/** A file with some pages written. */
export function addFile(world: World, kind: FileFacts['kind'], pages: number): void {
  const id = ['f', 'g', 'h', 'i'][world.files.length] ?? `file${world.files.length}`;
  world.files.push({ id, kind, pages });
  world.emit({ op: 'file', id, n: pages, kind });
}

export const smallFiles: Action = (world) => {
  addFile(world, 'memfd', world.rng.between(8, 24));
  if (world.rng.chance(0.7)) addFile(world, 'tmp', world.rng.between(1, 4));
  if (world.rng.chance(0.5)) system.fileWrite(world);
};

export const placeBreak: Action = (world) => {
  world.hasBreak = true;
  world.emit({ op: 'brk_at', p: 0, at: world.space.start + 24 + world.rng.below(8) });
};

/** The first memory, mergeable from the start. */
export const startMergeable: Action = (world) => {
  startMapped(world);
  const { start, pages } = world.space;
  world.emit({ op: 'madvise', p: 0, at: start, n: Math.floor(pages * 0.7), advice: 'mergeable' });
};

export const mergeAll: Action = (world) => {
  world.emit({ op: 'prctl_merge', p: 0, on: 1 });
};

/** Sometimes a low limit of sharing, so that chains of KSM pages come about. */
export const fewSharers: Action = (world) => {
  if (!world.rng.chance(0.3)) return;
  world.emit({ op: 'config', key: 'ksm_max_sharing', value: world.rng.between(2, 4) });
};

export const MERGES: Weighted = [
  [6, access.fill],
  [5, access.advise(['mergeable', 'mergeable', 'mergeable', 'unmergeable'])],
  [9, system.ksmScans],
  [0.5, system.ksmUnmerge],
];
export const KSM: Weighted = [
  ...BASIC,
  ...HOLDERS,
  ...MERGES,
  [0.5, mapping.lock],
  [0.5, access.advise(['free', 'cold'])],
];

export const swapMode = inOrder(system.swapOn, sometimes(0.6, anonymousSizes), startMapped);
export const OUT: Weighted = [
  [12, access.advise(['pageout'])],
  [1, access.advise(['willneed'])],
  [1, access.advise(['cold', 'free'])],
];

/** What a userfaultfd is used for once something is registered. */
export const USERFAULTS: Weighted = [
  [1, userfault.unregister],
  [6, userfault.protect],
  [6, userfault.copy],
  [3, userfault.zero],
];
