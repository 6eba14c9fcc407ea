/** Operations that touch pages: accesses, advice, pins, processes. */
import type { MadviseAdvice } from '../../kernel/operation.js';
import type { Action } from './mapping_actions.js';

export const read: Action = (world) => {
  world.emit({ op: 'read', p: world.process(), ...world.touch() });
};

export const write: Action = (world) => {
  world.emit({ op: 'write', p: world.process(), ...world.touch(), v: world.value() });
};

/** A write to a whole range: makes folios of all sizes. */
export const fill: Action = (world) => {
  world.emit({ op: 'write', p: world.process(), ...world.touch(true), v: world.value() });
};

export const fork: Action = (world) => {
  if (!world.mayFork) return;
  const p = world.process();
  world.emit({ op: 'fork', p, c: world.fork(p) });
};

export const exit: Action = (world) => {
  if (world.processes.length < 2) return;
  const p = world.process();
  world.exit(p);
  world.emit({ op: 'exit', p });
};

/** The action that gives one of these pieces of advice. */
export function advise(advice: readonly MadviseAdvice[]): Action {
  return (world) => {
    const range = world.rng.weighted([
      [1, () => world.range()],
      [1, () => world.alignedRange()],
      [2, () => world.touch(true)],
    ])();
    world.emit({ op: 'madvise', p: world.process(), ...range, advice: world.rng.pick(advice) });
  };
}

export const ZAP_ADVICE: readonly MadviseAdvice[] = ['dontneed', 'dontneed', 'dontneed_locked'];
export const FLAG_ADVICE: readonly MadviseAdvice[] = [
  'normal',
  'random',
  'sequential',
  'dontfork',
  'dofork',
  'dontdump',
  'dodump',
  'wipeonfork',
  'keeponfork',
  'mergeable',
  'unmergeable',
  'hugepage',
  'nohugepage',
];
export const GUARD_ADVICE: readonly MadviseAdvice[] = ['guard_install', 'guard_remove'];
export const POPULATE_ADVICE: readonly MadviseAdvice[] = ['populate_read', 'populate_write'];

export const pin: Action = (world) => {
  const p = world.process();
  const id = world.heldId();
  world.pins.push({ p, id });
  world.emit({ op: 'pin', p, ...world.touch(), id });
};

export const unpin: Action = (world) => {
  const held = world.takePin();
  if (held !== undefined) world.emit({ op: 'unpin', p: held.p, id: held.id });
};

export const splice: Action = (world) => {
  const p = world.process();
  const id = world.heldId();
  world.pipes.push({ p, id });
  world.emit({ op: 'vmsplice', p, ...world.touch(), id });
};

export const drainPipe: Action = (world) => {
  const held = world.takePipe();
  if (held === undefined) return;
  world.emit({ op: 'vmdrain', p: held.p, n: world.rng.between(1, 4), id: held.id });
};

export const forceWrite: Action = (world) => {
  world.emit({ op: 'mem_write', p: world.process(), ...world.touch(), v: world.value() });
};

export const writeOther: Action = (world) => {
  const [p, q] = [world.process(), world.process()];
  world.emit({ op: 'pvm_write', p, q, ...world.touch(), v: world.value() });
};

export const moveByUserfault: Action = (world) => {
  const { rng, space } = world;
  const { at, n } = rng.chance(0.5) ? world.alignedRange() : world.touch();
  const to = world.target(n, rng.chance(0.8) ? space.grain : 1);
  const holes = rng.chance(0.7) ? { allow_holes: 1 } : {};
  world.emit({ op: 'uffd_move', p: world.process(), at, n, to, ...holes });
};
