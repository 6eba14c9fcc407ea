/** Calls of a userfaultfd. */
import type { Action } from './mapping_actions.js';
import type { Range, World } from './world.js';

const MODES = ['missing', 'wp', 'wp', 'missing|wp'];
const FEATURES = ['sigbus', 'wp_async', 'wp_unpopulated', 'event_fork', 'sigbus|event_fork'];
/** What can be performed live: an access answers with a signal, and no one has to read events. */
const SIGNAL_FEATURES = ['sigbus', 'sigbus', 'sigbus|wp_async', 'sigbus|wp_unpopulated'];

function registration(world: World, features: { readonly features?: string }): void {
  const { rng } = world;
  const range = rng.chance(0.4) ? world.alignedRange() : world.touch(true);
  world.registered.push(range);
  world.emit({
    op: 'uffd_register',
    p: world.process(),
    ...range,
    mode: rng.pick(MODES),
    ...features,
  });
}

/** With any features, mostly those of the first call. */
export const registerAny: Action = (world) => {
  const { rng } = world;
  registration(world, rng.chance(0.6) ? { features: rng.pick(FEATURES) } : {});
};

/** All calls of a scenario want the same features, nearly always. */
export const register: Action = (world) => {
  const { rng } = world;
  world.userfaultFeatures ??= rng.pick(SIGNAL_FEATURES);
  const features = rng.chance(0.05) ? rng.pick(SIGNAL_FEATURES) : world.userfaultFeatures;
  registration(world, { features });
};

/** Some pages, mostly of a range that was registered. */
function registeredPart(world: World): Range {
  const { rng, registered } = world;
  if (registered.length === 0 || rng.chance(0.1)) return world.touch();
  const { at, n } = rng.pick(registered);
  if (rng.chance(0.25)) return { at, n };
  const skipped = rng.below(n);
  return { at: at + skipped, n: rng.between(1, Math.min(n - skipped, 4)) };
}

export const unregister: Action = (world) => {
  world.emit({ op: 'uffd_unregister', p: world.process(), ...registeredPart(world) });
};

export const protect: Action = (world) => {
  const on = world.rng.chance(0.7) ? 1 : 0;
  world.emit({ op: 'uffd_wp', p: world.process(), ...registeredPart(world), on });
};

export const copy: Action = (world) => {
  const wp = world.rng.chance(0.4) ? { wp: 1 } : {};
  const range = registeredPart(world);
  world.emit({ op: 'uffd_copy', p: world.process(), ...range, v: world.value(), ...wp });
};

export const zero: Action = (world) => {
  world.emit({ op: 'uffd_zero', p: world.process(), ...registeredPart(world) });
};
