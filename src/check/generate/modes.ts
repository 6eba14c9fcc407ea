/** What each mode of the generator does, how often, and where. */
import * as access from './access_actions.js';
import * as mapping from './mapping_actions.js';
import type { Action } from './mapping_actions.js';
import * as system from './system_actions.js';
import type { Space, World } from './world.js';

export interface Mode {
  readonly space: Space;
  /** Values that are written; empty: every write another one. */
  readonly values?: readonly number[];
  /** What each scenario starts with. */
  readonly start?: Action;
  readonly actions: ReadonlyArray<readonly [weight: number, action: Action]>;
}

type Weighted = Mode['actions'];

const SMALL: Space = {
  start: 16,
  pages: 48,
  grain: 1,
  mostGrains: 12,
  targetStart: 80,
  targetPages: 80,
};
const MEDIUM: Space = {
  start: 512,
  pages: 192,
  grain: 16,
  mostGrains: 5,
  targetStart: 1024,
  targetPages: 512,
};
const LARGE: Space = {
  start: 512,
  pages: 2048,
  grain: 128,
  mostGrains: 9,
  targetStart: 3072,
  targetPages: 2048,
};
const BLOCKS: Space = {
  start: 512,
  pages: 2048,
  grain: 512,
  mostGrains: 2,
  targetStart: 3072,
  targetPages: 2048,
};

const BASIC: Weighted = [
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
const HOLDERS: Weighted = [
  [1.5, access.pin],
  [1, access.unpin],
  [1, access.splice],
  [0.8, access.drainPipe],
  [1, access.forceWrite],
  [1, access.writeOther],
];
const LOCKS: Weighted = [
  [1, mapping.lock],
  [1, mapping.unlock],
];
const POPULATES = access.advise(access.POPULATE_ADVICE);
const GUARDS = access.advise(access.GUARD_ADVICE);
const FLAGS = access.advise(access.FLAG_ADVICE);

const THP_MODES = ['always', 'madvise', 'never'] as const;
const SIZES = ['16kB', '32kB', '64kB', '128kB', '256kB', '512kB', '1024kB'] as const;

/** Some sizes of folios for anonymous memory. */
const anonymousSizes: Action = (world) => {
  const { rng } = world;
  const count = rng.between(1, 3);
  for (let i = 0; i < count; i += 1) {
    const size = rng.pick(SIZES);
    const value = rng.pick(['always', 'always', 'madvise', 'inherit']);
    world.emit({ op: 'config', key: `mthp.${size}`, value });
  }
  if (rng.chance(0.2)) world.emit({ op: 'config', key: 'thp', value: rng.pick(THP_MODES) });
};

const startMapped: Action = (world) => {
  const { start, pages } = world.space;
  const flags = 'private|anon';
  world.emit({ op: 'mmap', p: 0, at: start, n: pages >> 1, prot: 'rw', flags });
};

function inOrder(...actions: readonly Action[]): Action {
  return (world) => {
    for (const action of actions) action(world);
  };
}

function sometimes(probability: number, action: Action): Action {
  return (world) => {
    if (world.rng.chance(probability)) action(world);
  };
}

const hugePages: Action = (world) => {
  world.emit({ op: 'config', key: 'thp', value: 'always' });
};

/** A file with some pages written. */
function addFile(world: World, kind: 'tmp' | 'memfd' | 'memfd_hugetlb', pages: number): void {
  const id = ['f', 'g', 'h', 'i'][world.files.length] ?? `file${world.files.length}`;
  world.files.push({ id, kind, pages });
  world.emit({ op: 'file', id, n: pages, kind });
}

const smallFiles: Action = (world) => {
  addFile(world, 'memfd', world.rng.between(8, 24));
  if (world.rng.chance(0.7)) addFile(world, 'tmp', world.rng.between(1, 4));
  if (world.rng.chance(0.5)) system.fileWrite(world);
};

const placeBreak: Action = (world) => {
  world.hasBreak = true;
  world.emit({ op: 'brk_at', p: 0, at: world.space.start + 24 + world.rng.below(8) });
};

const swapMode = inOrder(system.swapOn, sometimes(0.6, anonymousSizes), startMapped);
const OUT: Weighted = [
  [6, access.advise(['pageout'])],
  [1, access.advise(['willneed'])],
  [1, access.advise(['cold', 'free'])],
];

const MODES = {
  small: {
    space: SMALL,
    start: inOrder(sometimes(0.3, placeBreak), startMapped),
    actions: [
      ...BASIC,
      ...HOLDERS,
      ...LOCKS,
      [3, FLAGS],
      [2, GUARDS],
      [2, POPULATES],
      [1, access.advise(['free', 'cold'])],
      [1, mapping.moveBreak],
      [1, mapping.mapShared],
      [0.6, mapping.mapStack],
    ],
  },
  merge: {
    space: { ...SMALL, pages: 24, mostGrains: 6, targetStart: 40, targetPages: 24 },
    start: startMapped,
    actions: [
      [8, access.write],
      [6, mapping.mapPlain],
      [3, mapping.unmap],
      [8, mapping.protect],
      [14, mapping.remap],
      [8, access.fork],
      [4, access.exit],
      [4, FLAGS],
      [1, GUARDS],
      [1, mapping.mapStack],
      [1, access.advise(access.ZAP_ADVICE)],
    ],
  },
  file: {
    space: SMALL,
    start: inOrder(smallFiles, startMapped),
    actions: [
      ...BASIC,
      ...HOLDERS,
      ...LOCKS,
      [10, mapping.mapFile],
      [3, mapping.mapShared],
      [2, system.fileWrite],
      [1, system.fileRead],
      [1.5, system.filePunch],
      [1.5, system.fileTruncate],
      [1, access.advise(['remove', 'free', 'cold'])],
      [2, GUARDS],
      [2, POPULATES],
      [1, FLAGS],
    ],
  },
  mthp: {
    space: MEDIUM,
    start: inOrder(anonymousSizes, startMapped),
    actions: [
      ...BASIC,
      ...HOLDERS,
      [6, access.fill],
      [2, access.advise(['free', 'cold'])],
      [1, access.advise(['hugepage', 'nohugepage'])],
      [1, GUARDS],
      [1, POPULATES],
      [0.5, anonymousSizes],
      [0.5, mapping.lock],
      [0.5, mapping.unlock],
    ],
  },
  thp: {
    space: LARGE,
    start: inOrder(hugePages, startMapped),
    actions: [
      ...BASIC,
      ...HOLDERS,
      [3, access.fill],
      [2, access.advise(['free', 'cold'])],
      [2, access.advise(['collapse'])],
      [1, access.advise(['hugepage', 'nohugepage'])],
      [0.7, GUARDS],
      [0.7, POPULATES],
      [0.5, mapping.lockWhole],
      [0.5, mapping.unlock],
      [
        0.3,
        system.configure([
          ['zero_thp', [0, 1]],
          ['thp', THP_MODES],
        ]),
      ],
    ],
  },
  swap: {
    space: MEDIUM,
    start: swapMode,
    actions: [
      ...BASIC,
      ...OUT,
      ...HOLDERS,
      [5, access.fill],
      [0.5, POPULATES],
      [0.4, system.swapOff],
      [1, system.swapOn],
      [0.5, mapping.lock],
    ],
  },
  ksm: {
    space: { ...SMALL, pages: 32, mostGrains: 8 },
    values: [0, 7, 7, 8],
    start: inOrder(
      sometimes(0.2, (world) => world.emit({ op: 'config', key: 'ksm_zero', value: 1 })),
      sometimes(0.3, (world) =>
        world.emit({ op: 'config', key: 'ksm_max_sharing', value: world.rng.between(2, 4) }),
      ),
      startMapped,
    ),
    actions: [
      ...BASIC,
      ...HOLDERS,
      [4, access.fill],
      [5, access.advise(['mergeable', 'mergeable', 'unmergeable'])],
      [7, system.ksmScans],
      [0.5, system.ksmUnmerge],
      [0.8, system.processMerge],
      [0.5, mapping.lock],
      [0.5, access.advise(['free', 'cold'])],
    ],
  },
  reclaim: {
    space: MEDIUM,
    values: [0, 0, 5, 6, 7, 8, 9],
    start: inOrder(
      system.swapOn,
      sometimes(0.5, anonymousSizes),
      (world) => {
        world.grouped.add(0);
        world.emit({ op: 'memcg', p: 0, on: 1 });
      },
      startMapped,
    ),
    actions: [
      ...BASIC,
      ...HOLDERS,
      [5, access.fill],
      [5, system.reclaim],
      [1, access.advise(['free', 'cold', 'pageout'])],
      [0.4, system.groupOff],
      [0.4, system.groupOn],
      [0.3, system.swapOff],
      [0.6, system.swapOn],
    ],
  },
  hugetlb: {
    space: BLOCKS,
    start: (world) => {
      world.emit({ op: 'config', key: 'hugetlb', value: world.rng.between(1, 6) });
      if (world.rng.chance(0.5)) addFile(world, 'memfd_hugetlb', 512 * world.rng.between(1, 2));
    },
    actions: [
      [10, system.mapHugetlb],
      [4, system.mapHugetlbFile],
      [10, access.write],
      [6, access.read],
      [5, access.fork],
      [3, access.exit],
      [2, mapping.unmap],
      [3, mapping.protect],
      // No mremap: Linux loses promised pages for good when a part of a private mapping is moved.
      [2, access.advise(access.ZAP_ADVICE)],
      [1, system.hugetlbFileCut],
      [1, mapping.mapPlain],
      [0.5, POPULATES],
      [0.5, mapping.lockWhole],
      ...HOLDERS,
    ],
  },
  shmem: {
    space: LARGE,
    start: (world) => {
      const { rng } = world;
      const value = rng.pick(['always', 'always', 'within_size', 'advise', 'never']);
      world.emit({ op: 'config', key: 'shmem_thp', value });
      if (rng.chance(0.4)) {
        world.emit({ op: 'config', key: `shmem_mthp.${rng.pick(SIZES)}`, value: 'always' });
      }
      addFile(world, 'memfd', rng.pick([512, 512, 1024, 300, 64]));
    },
    actions: [
      ...BASIC,
      ...HOLDERS,
      [10, mapping.mapFile],
      [3, mapping.mapShared],
      [1, system.fileWrite],
      [0.5, system.fileRead],
      [1, system.filePunch],
      [0.7, system.fileTruncate],
      [0.7, access.advise(['cold', 'remove'])],
      [1, access.advise(['collapse'])],
      [1, access.advise(['hugepage', 'nohugepage'])],
    ],
  },
  uffd: {
    space: MEDIUM,
    start: inOrder(
      sometimes(0.5, anonymousSizes),
      sometimes(0.3, hugePages),
      sometimes(0.3, system.swapOn),
      startMapped,
    ),
    actions: [
      ...BASIC,
      ...HOLDERS,
      [4, access.fill],
      [9, access.moveByUserfault],
      [1, access.advise(['pageout'])],
      [1, GUARDS],
    ],
  },
  mixed: {
    space: { ...LARGE, pages: 1024, grain: 32, mostGrains: 20 },
    values: [0, 3, 4, 5, 6, 7],
    start: inOrder(
      sometimes(0.6, system.swapOn),
      sometimes(0.5, anonymousSizes),
      sometimes(0.5, hugePages),
      (world) => addFile(world, 'memfd', world.rng.pick([16, 64, 512])),
      startMapped,
    ),
    actions: [
      ...BASIC,
      ...HOLDERS,
      [4, access.fill],
      [3, mapping.mapFile],
      [1, mapping.mapShared],
      [2, access.advise(['pageout'])],
      [1, access.advise(['cold', 'free'])],
      [1, access.advise(['collapse'])],
      [1, access.moveByUserfault],
      [1, access.advise(['mergeable'])],
      [1, system.ksmScans],
      [1, GUARDS],
      [1, POPULATES],
      [1, FLAGS],
      [0.5, system.filePunch],
      [0.5, system.fileWrite],
      [0.5, system.fileTruncate],
      [0.4, system.processMerge],
      [0.5, mapping.lock],
      [0.4, mapping.unlock],
    ],
  },
} as const satisfies Readonly<Record<string, Mode>>;

export type ModeName = keyof typeof MODES;

export const MODE_NAMES = Object.keys(MODES) as readonly ModeName[];

export function isModeName(name: string): name is ModeName {
  return Object.hasOwn(MODES, name);
}

export function modeOf(name: ModeName): Mode {
  return MODES[name];
}
