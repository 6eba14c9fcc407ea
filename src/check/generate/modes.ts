/** What each mode of the generator does, how often, and where. */
import * as access from './access_actions.js';
import { ENGINE_MODES } from './engine_modes.js';
import * as mapping from './mapping_actions.js';
import {
  addFile,
  anonymousSizes,
  BASIC,
  BLOCKS,
  fewSharers,
  FLAGS,
  GUARDS,
  HOLDERS,
  HUGE_BASIC,
  hugePages,
  inOrder,
  KSM,
  LARGE,
  LOCKS,
  MEDIUM,
  mergeAll,
  MERGES,
  OUT,
  placeBreak,
  POPULATES,
  SIZES,
  SMALL,
  smallFiles,
  sometimes,
  startMapped,
  startMergeable,
  swapMode,
  THP_MODES,
  USERFAULTS,
} from './mode_parts.js';
import type { Mode } from './mode_parts.js';
import * as system from './system_actions.js';
import * as userfault from './userfault_actions.js';

/** Modes of which a live run can perform every operation. */
const LIVE_MODES = {
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
      [1, system.fileAdvise],
      [2, system.useFileOnce],
      [1, access.advise(['remove', 'free', 'cold'])],
      [0.7, access.advise(['pageout', 'willneed'])],
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
      [8, access.fill],
      [0.5, POPULATES],
      [0.4, system.swapOff],
      [1, system.swapOn],
      [0.5, mapping.lock],
    ],
  },
  ksm: {
    space: { ...SMALL, pages: 32, mostGrains: 8 },
    // Not 0: with PR_SET_MEMORY_MERGE, zero pages of the program itself would join.
    values: [6, 7, 7, 8],
    // For the same reason nothing is populated, locked or pinned here.
    start: inOrder(fewSharers, startMapped, sometimes(0.7, mergeAll)),
    actions: [
      ...MERGES,
      [10, access.write],
      [6, access.read],
      [4, mapping.mapPlain],
      [2, mapping.unmap],
      [3, mapping.protect],
      [4, mapping.remap],
      [6, access.fork],
      [3, access.exit],
      [2, access.advise(access.ZAP_ADVICE)],
      [0.8, system.processMerge],
    ],
  },
  ksmzero: {
    space: { ...SMALL, pages: 32, mostGrains: 8 },
    values: [0, 0, 7, 7, 8],
    start: inOrder(
      fewSharers,
      sometimes(0.5, (world) => world.emit({ op: 'config', key: 'ksm_zero', value: 1 })),
      startMergeable,
    ),
    actions: KSM,
  },
  ksmlarge: {
    space: { ...MEDIUM, pages: 1024, targetStart: 2048, targetPages: 1024 },
    values: [0, 0, 7, 7, 8, 9],
    start: inOrder(sometimes(0.7, hugePages), sometimes(0.5, anonymousSizes), startMergeable),
    actions: [
      [10, access.write],
      [10, access.fill],
      [3, access.fork],
      [1, access.exit],
      [2, mapping.mapPlain],
      [2, mapping.remap],
      [2, mapping.protect],
      [3, access.advise(access.ZAP_ADVICE)],
      [3, access.advise(['mergeable', 'mergeable', 'unmergeable'])],
      [8, system.ksmScans],
      [1, access.advise(['collapse'])],
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
      // What is used more than once goes to the active list; when it leaves it is up to statistics
      // that Linux flushes by time. So nothing is pinned or populated here.
      ...BASIC,
      [5, access.fill],
      [5, system.reclaim],
      [1, access.advise(['pageout'])],
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
      ...HUGE_BASIC,
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
      [6, mapping.mapFile],
      [6, mapping.mapWholeFile],
      [3, mapping.mapShared],
      [4, access.fill],
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
  uffd_fill: {
    space: MEDIUM,
    start: inOrder(
      sometimes(0.4, anonymousSizes),
      sometimes(0.3, hugePages),
      sometimes(0.3, system.swapOn),
      sometimes(0.4, (world) => addFile(world, 'memfd', world.rng.pick([16, 64]))),
      startMapped,
      userfault.register,
    ),
    actions: [
      ...BASIC,
      ...HOLDERS,
      [3, access.fill],
      [4, userfault.register],
      ...USERFAULTS,
      [2, mapping.mapFile],
      [1, mapping.mapShared],
      [2, access.advise(['pageout'])],
      [1, access.advise(['collapse', 'hugepage'])],
      [1, GUARDS],
      [1, POPULATES],
      [0.5, mapping.lock],
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
      [0.5, mapping.lock],
      [0.4, mapping.unlock],
    ],
  },
} as const satisfies Readonly<Record<string, Mode>>;

const MODES = { ...LIVE_MODES, ...ENGINE_MODES };

export type ModeName = keyof typeof MODES;
export type LiveModeName = keyof typeof LIVE_MODES;

export const MODE_NAMES = Object.keys(MODES) as readonly ModeName[];
export const LIVE_MODE_NAMES = Object.keys(LIVE_MODES) as readonly LiveModeName[];

export function isModeName(name: string): name is ModeName {
  return Object.hasOwn(MODES, name);
}

export function modeOf(name: ModeName): Mode {
  return MODES[name];
}
