import { Rng } from '../../base/rng.js';
import type { Operation } from '../../kernel/operation.js';
import { ENGINE_EXTRAS } from './engine_modes.js';
import { modeOf, type ModeName } from './modes.js';
import { World } from './world.js';

export interface GenerateOptions {
  readonly seed: number;
  readonly mode: ModeName;
  /** Number of operations (fewer where a mode says so), without the drains that `isLive` adds. */
  readonly operationCount: number;
  /**
   * For comparisons with a kernel: only operations that a live run performs, and a `drain` behind
   * everything that leaves folios in lists of one CPU, where nothing in the scenario says when they
   * are flushed (spec 97 §12).
   */
  readonly isLive?: boolean;
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

/** How often an operation is one that the mode itself does not have. */
const EXTRAS_RATE = 0.12;

/**
 * A random scenario: the same options give the same one on every platform. Addresses count from
 * the region of scenarios. A live one has no memory at an address of the kernel's choice; there is
 * no break before `brk_at`, and process numbers are used once.
 */
export function generateScenario(options: GenerateOptions): Operation[] {
  const { seed, isLive = false, dumpRate = 0 } = options;
  const mode = modeOf(options.mode);
  const operationCount = Math.min(options.operationCount, mode.mostOperations ?? Infinity);
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
    const isExtra = !isLive && rng.chance(EXTRAS_RATE);
    const action = rng.weighted(isExtra ? ENGINE_EXTRAS : mode.actions);
    action(world);
    const added = world.operations.slice(seen);
    if (added.length === 0) continue;
    count += added.length;
    isLocked ||= added.some(({ op, ...rest }) => op === 'mlock' || hasLockedFlag(rest));
    if (isLive && (isLocked || added.some(({ op }) => LEAVES_WAITING.has(op)))) {
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
