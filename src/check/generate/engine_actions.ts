/** Operations that only the engine performs: the actor of live runs has no words for them. */
import type { MadviseAdvice, Operation, Prot } from '../../kernel/operation.js';
import { FLAG_ADVICE, GUARD_ADVICE, POPULATE_ADVICE, ZAP_ADVICE } from './access_actions.js';
import type { Action } from './mapping_actions.js';

/** A child that shares the address space of its parent. */
export const shareMemory: Action = (world) => {
  if (!world.mayFork) return;
  const p = world.process();
  world.emit({ op: world.rng.pick(['vfork', 'clone_vm']), p, c: world.fork(p) });
};

/** A child gets anew what its parent maps. */
export const inherit: Action = (world) => {
  const p = world.process();
  const q = world.parents.get(p);
  if (q === undefined || !world.processes.includes(q)) return;
  world.emit({ op: 'inherit', p, q, ...world.touch(true) });
};

/** A heap that has pages already. */
export const placeHeap: Action = (world) => {
  world.hasBreak = true;
  const at = world.page();
  world.emit({ op: 'brk_at', p: 0, at, end: at + world.rng.below(8) });
};

export const exec: Action = (world) => {
  world.emit({ op: 'exec', p: world.process() });
};

export const faultOnce: Action = (world) => {
  const { at } = world.touch();
  world.emit({ op: 'fault', p: world.process(), at, write: world.rng.below(2) });
};

const LOCK_ALL = ['current', 'future', 'current|future', 'current|onfault', 'future|onfault'];

export const lockAll: Action = (world) => {
  world.emit({ op: 'mlockall', p: world.process(), flags: world.rng.pick(LOCK_ALL) });
};

export const unlockAll: Action = (world) => {
  world.emit({ op: 'munlockall', p: world.process() });
};

export const khugepaged: Action = (world) => {
  world.emit({ op: 'khugepaged', p: world.process() });
};

export const pinRead: Action = (world) => {
  const p = world.process();
  const id = world.heldId();
  world.pins.push({ p, id });
  world.emit({ op: 'pin_read', p, ...world.touch(), id, fast: world.rng.below(2) });
};

/** What Linux lets a process advise for another one. */
const MOVERS: readonly MadviseAdvice[] = ['cold', 'pageout', 'willneed', 'collapse'];
const ANY_ADVICE: readonly MadviseAdvice[] = [
  ...ZAP_ADVICE,
  ...FLAG_ADVICE,
  ...GUARD_ADVICE,
  ...POPULATE_ADVICE,
  'free',
  'remove',
];

export const adviseOther: Action = (world) => {
  const { rng } = world;
  // For itself a process may advise anything.
  const p = world.process();
  const q = rng.chance(0.4) ? p : world.process();
  const advice = rng.pick(rng.chance(0.6) ? MOVERS : ANY_ADVICE);
  world.emit({ op: 'process_madvise', p, q, ...world.touch(true), advice });
};

const RARE_PROTS: readonly Prot[] = ['w', 'rx', 'wx'];

export const protectRarely: Action = (world) => {
  const prot = world.rng.pick(RARE_PROTS);
  world.emit({ op: 'mprotect', p: world.process(), ...world.range(), prot });
};

export const clearRefs: Action = (world) => {
  const what = world.rng.pick(['all', 'anon', 'mapped', 'soft_dirty', 'soft_dirty'] as const);
  world.emit({ op: 'clear_refs', p: world.process(), what });
};

export const movePages: Action = (world) => {
  const { rng } = world;
  const all = rng.chance(0.6) ? { all: 1 } : {};
  const range = world.touch(rng.chance(0.5));
  world.emit({ op: 'move_pages', p: world.process(), ...range, node: rng.below(2), ...all });
};

export const migratePages: Action = (world) => {
  const { rng } = world;
  const from = rng.below(2);
  const all = rng.chance(0.6) ? { all: 1 } : {};
  world.emit({ op: 'migrate_pages', p: world.process(), from, to: 1 - from, ...all });
};

export const failMemory: Action = (world) => {
  const { at, n } = world.touch();
  world.emit({ op: 'memory_failure', p: world.process(), at, n: Math.min(n, 2) });
};

export const softOffline: Action = (world) => {
  world.emit({ op: 'soft_offline', p: world.process(), ...world.touch() });
};

/** What changes nothing, or nothing but what waits. */
export const idle: Action = (world) => {
  const operations: readonly Operation[] = [
    { op: 'compact' },
    { op: 'compact' },
    { op: 'drain' },
    { op: 'sleep', ms: 1 },
    { op: 'dump', label: `i${world.operations.length}` },
  ];
  world.emit(world.rng.pick(operations));
};

/** Memory at an address of the kernel's choice. */
export const mapAnywhere: Action = (world) => {
  const { rng } = world;
  const { n } = world.range();
  const flags = `${rng.pick(['private', 'shared'])}|anon${rng.chance(0.3) ? '|populate' : ''}`;
  world.emit({ op: 'mmap', p: world.process(), n, prot: rng.pick(['rw', ...RARE_PROTS]), flags });
};

/** Growth that may move, and a move to an address of the kernel's choice that leaves the old one. */
export const remapAnywhere: Action = (world) => {
  const { rng, space } = world;
  const { at, n } = rng.chance(0.5) ? world.alignedRange() : world.touch(true);
  const isCopied = rng.chance(0.3);
  const length = isCopied ? n : n + rng.below(3) * space.grain;
  const flags = isCopied ? 'dontunmap' : 'maymove';
  world.emit({ op: 'mremap', p: world.process(), at, n, new: length, flags });
};

export const swapOnOther: Action = (world) => {
  if (world.hasSwap) return;
  world.hasSwap = true;
  const { rng } = world;
  // A few slots run out.
  const n = rng.chance(0.4) ? { n: rng.between(2, 12) } : {};
  world.emit({ op: 'swapon', kind: rng.pick(['file', 'zram']), ...n });
};

export const swapOutRange: Action = (world) => {
  world.emit({ op: 'swap_out', p: world.process(), ...world.touch(true) });
};

export const mergePages: Action = (world) => {
  const [p, q] = [world.process(), world.process()];
  world.emit({ op: 'ksm_merge', p, at: world.touch().at, q, to: world.touch().at });
};

/** A page of 1 GiB, private or of a file. */
export const mapGigantic: Action = (world) => {
  const { rng } = world;
  const range = world.alignedRange();
  const file = world.files.find(({ kind }) => kind === 'memfd_hugetlb1g');
  const p = world.process();
  const sharing = rng.pick(['private', 'private', 'shared']);
  if (file !== undefined && rng.chance(0.4)) {
    const flags = `${sharing}|fixed`;
    world.emit({ op: 'mmap', p, ...range, prot: 'rw', flags, file: file.id, off: 0 });
  } else {
    const flags = `${sharing}|anon|hugetlb1g|fixed`;
    world.emit({ op: 'mmap', p, ...range, prot: 'rw', flags });
  }
};
