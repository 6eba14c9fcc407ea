import { Rng } from '../../base/rng.js';
import type { Operation } from '../../kernel/operation.js';
import { MODE_NAMES, modeOf, type ModeName } from './modes.js';
import { World } from './world.js';

export type { ModeName } from './modes.js';
export { MODE_NAMES, isModeName, memoryPagesOf } from './modes.js';

export interface GenerateOptions {
  readonly seed: number;
  readonly mode: ModeName;
  /** Number of operations, without the drains that `isDrained` adds. */
  readonly operationCount: number;
  /**
   * Adds a `drain` behind everything that leaves folios in lists of one CPU, where nothing in the
   * scenario says when they are flushed (spec 97 §12). For comparisons with a kernel.
   */
  readonly isDrained?: boolean;
  /** Probability of a `dump` behind an operation; 0 = only the final state. */
  readonly dumpRate?: number;
}

/** Operations behind which folios may wait in a list of one CPU. */
const LEAVES_WAITING: ReadonlySet<Operation['op']> = new Set([
  'madvise',
  'mlock',
  'munlock',
  'pin',
  'vmsplice',
  'vmdrain',
  'unpin',
  'pvm_write',
  'mem_write',
  'filewrite',
  'fileread',
  'mmap',
  'reclaim',
  'ksm',
]);

/** Seeds of consecutive scenarios take the modes in turn. */
export function modeOfSeed(seed: number): ModeName {
  return MODE_NAMES[seed % MODE_NAMES.length] ?? 'small';
}

/**
 * A random scenario: the same options give the same one on every platform. Addresses count from
 * the region of scenarios. It respects what live runs cannot do: no memory at an address of the
 * kernel's choice, no break before `brk_at`, process numbers are used once.
 */
export function generateScenario(options: GenerateOptions): Operation[] {
  const { seed, operationCount, isDrained = false, dumpRate = 0 } = options;
  const mode = modeOf(options.mode);
  const rng = new Rng(seed);
  const world = new World(rng, mode.space, mode.values ?? []);
  mode.start?.(world);
  // Once something is locked, every fault and zap leaves pages in the list of the mlock batch.
  let isLocked = false;
  let seen = world.operations.length;
  let dumps = 0;
  for (
    let count = 0, tries = 0;
    count < operationCount && tries < operationCount * 10;
    tries += 1
  ) {
    const action = rng.weighted(mode.actions);
    action(world);
    const added = world.operations.slice(seen);
    if (added.length === 0) continue;
    count += added.length;
    isLocked ||= added.some(({ op, ...rest }) => op === 'mlock' || hasLockedFlag(rest));
    if (isDrained && (isLocked || added.some(({ op }) => LEAVES_WAITING.has(op)))) {
      world.emit({ op: 'drain' });
    }
    if (dumpRate > 0 && rng.chance(dumpRate)) {
      world.emit({ op: 'dump', label: `d${dumps}` });
      dumps += 1;
    }
    seen = world.operations.length;
  }
  return world.operations;
}

function hasLockedFlag(fields: object): boolean {
  return 'flags' in fields && typeof fields.flags === 'string' && fields.flags.includes('locked');
}
