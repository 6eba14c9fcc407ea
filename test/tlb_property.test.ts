/** Goal: whatever is done, no CPU keeps a translation that the page tables do not confirm. */
import { expect, it } from 'vitest';
import { generateScenario } from '../src/check/generate/generate.js';
import { MODE_NAMES } from '../src/check/generate/modes.js';
import { profileOf } from '../src/check/generate/profiles.js';
import { Machine } from '../src/kernel/machine.js';
import { TlbModel } from '../src/kernel/rmap/tlb_model.js';

const SEEDS = 6;
const OPERATIONS = 30;
const PROFILES = ['default', 'soft-dirty', 'small-memory'] as const;

it.each([...MODE_NAMES])('mode %s', (mode) => {
  let translations = 0;
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const machine = new Machine({
      profile: profileOf(PROFILES[seed % PROFILES.length], mode),
    });
    const tlb = new TlbModel();
    machine.kernel.tlb = tlb;
    for (const operation of generateScenario({ seed, mode, operationCount: OPERATIONS })) {
      machine.apply(operation);
      const [stale] = tlb.findStale(machine.kernel);
      const found = stale === undefined ? '' : `page ${stale.vpn}: ${stale.problem}`;
      expect([seed, operation, found]).toEqual([seed, operation, '']);
    }
    for (const mm of machine.kernel.mms) if (tlb.holds(mm)) translations += 1;
  }
  // The machine was accessed at all.
  expect(translations).toBeGreaterThan(0);
});
