import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NIL } from '../../base/units.js';
import { SwapDevice } from './swap_device.js';

// @covers swap_info_struct, swap_map, SWAP_HAS_CACHE, COUNT_CONTINUED, swap_duplicate, swap_free

describe('a swap slot', () => {
  it('is taken for the cache, counted, and freed with its last use', () => {
    const device = new SwapDevice(0, 'zram', 512);
    const slot = device.alloc(0);
    expect([device.count(slot), device.hasCache(slot), device.usedSlots]).toEqual([0, true, 1]);
    device.duplicate(slot);
    device.dropCache(slot);
    expect(device.isFree(slot)).toBe(false);
    expect(device.release(slot)).toBe(0);
    expect([device.isFree(slot), device.usedSlots]).toEqual([true, 0]);
  });

  it('counts beyond the width of its word', () => {
    const device = new SwapDevice(0, 'zram', 512);
    const slot = device.alloc(0);
    for (let i = 0; i < 1000; i += 1) device.duplicate(slot);
    expect(device.count(slot)).toBe(1000);
    for (let left = 999; left >= 0; left -= 1) expect(device.release(slot)).toBe(left);
    expect(device.count(slot)).toBe(0);
  });

  it('cannot be released without a reference nor duplicated when free', () => {
    const device = new SwapDevice(0, 'zram', 512);
    const slot = device.alloc(0);
    expect(() => device.release(slot)).toThrow('no reference');
    device.dropCache(slot);
    expect(() => device.duplicate(slot)).toThrow('free swap slot');
  });

  it('of a file comes alone', () => {
    expect(new SwapDevice(0, 'file', 2048).alloc(2)).toBe(NIL);
    expect(new SwapDevice(0, 'zram', 2048).alloc(2)).toBe(512);
  });

  it('lets one reader claim its cache', () => {
    const device = new SwapDevice(0, 'zram', 512);
    const slot = device.alloc(0);
    device.duplicate(slot);
    device.dropCache(slot);
    expect([device.claimCache(slot), device.claimCache(slot)]).toEqual([true, false]);
  });
});

type Step =
  | { readonly kind: 'alloc'; readonly order: number }
  | { readonly kind: 'duplicate' | 'release' | 'drop' | 'claim'; readonly pick: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('alloc' as const), order: fc.constantFrom(0, 0, 2, 4, 9) }),
  fc.record({
    kind: fc.constantFrom('duplicate', 'duplicate', 'release', 'drop', 'claim'),
    pick: fc.nat(),
  }),
);

describe('any sequence of slot operations', () => {
  it('agrees with a recount', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300, size: 'max' }), (steps) => {
        const device = new SwapDevice(3, 'zram', 1300);
        const oracle = new Map<number, { count: number; cached: boolean }>();
        for (const action of steps) {
          if (action.kind === 'alloc') takeRun(device, oracle, action.order);
          else if (oracle.size > 0) change(device, oracle, action.kind, action.pick);
        }
        expect(device.usedSlots).toBe(oracle.size);
        expect(differingSlots(device, oracle)).toEqual([]);
      }),
      { seed: 7, numRuns: 150 },
    );
  });
});

type Oracle = Map<number, { count: number; cached: boolean }>;

function differingSlots(device: SwapDevice, oracle: Oracle): number[] {
  const differing: number[] = [];
  for (let slot = 1; slot < device.slotCount; slot += 1) {
    const { count, cached } = oracle.get(slot) ?? { count: 0, cached: false };
    const isEqual = device.count(slot) === count && device.hasCache(slot) === cached;
    if (!isEqual || device.isFree(slot) === oracle.has(slot)) differing.push(slot);
  }
  return differing;
}

function takeRun(device: SwapDevice, oracle: Oracle, order: number): void {
  const first = device.alloc(order);
  if (first === NIL) return;
  expect(first % 2 ** order).toBe(0);
  expect(first).toBeGreaterThan(0);
  for (let slot = first; slot < first + 2 ** order; slot += 1) {
    if (oracle.has(slot)) throw new Error(`slot ${slot} is handed out twice`);
    oracle.set(slot, { count: 0, cached: true });
  }
}

function change(device: SwapDevice, oracle: Oracle, kind: string, pick: number): void {
  const [slot, state] = [...oracle][pick % oracle.size];
  if (kind === 'duplicate') {
    device.duplicate(slot);
    state.count += 1;
  } else if (kind === 'release') {
    if (state.count === 0) return;
    state.count -= 1;
    if (device.release(slot) !== state.count) throw new Error(`count of slot ${slot}`);
  } else if (kind === 'claim') {
    if (device.claimCache(slot) === state.cached) throw new Error(`cache of slot ${slot}`);
    state.cached = true;
  } else if (state.cached) {
    device.dropCache(slot);
    state.cached = false;
  }
  if (state.count === 0 && !state.cached) oracle.delete(slot);
}
