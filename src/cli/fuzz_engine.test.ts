import { afterEach, expect, it, vi } from 'vitest';
import { flipBitsBehindWrites } from '../../test/support/flipped_bits.js';
import { fuzzEngine } from './fuzz_engine.js';
import type { FuzzFinding } from './fuzz_findings.js';

afterEach(() => {
  vi.restoreAllMocks();
});

async function fuzz(check: boolean): Promise<FuzzFinding[]> {
  const found: FuzzFinding[] = [];
  const generated = [1, 2, 3].map((seed) => ({ seed, mode: 'small', operationCount: 25 }) as const);
  await fuzzEngine({
    scenarios: generated.map((one) => ({ generated: one, profile: 'default' })),
    check,
    onStart: () => undefined,
    onScenario: () => undefined,
    onFinding: async (finding) => await Promise.resolve(found.push(finding) === 0),
  });
  return found;
}

it('finds nothing where memory is sound', async () => {
  expect(await fuzz(true)).toEqual([]);
});

it('notices one wrong bit of memory, and makes the scenario small', async () => {
  flipBitsBehindWrites();
  const [finding] = await fuzz(true);
  expect(finding?.message).toMatch(/^invariant content\.shadow-memory: process 0 maps \d+ at/);
  expect(finding?.operations.at(-1)?.op).toBe('write');
  expect(finding?.operations.length).toBeLessThanOrEqual(4);
});

it('looks at the content only when asked to check', async () => {
  flipBitsBehindWrites();
  expect(await fuzz(false)).toEqual([]);
});
