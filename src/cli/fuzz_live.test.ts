import { afterEach, expect, it, vi } from 'vitest';
import { flipBitsBehindWrites } from '../../test/support/flipped_bits.js';
import { LiveServer } from '../linux/live_server.js';
import { computeStates } from '../query/scenario.js';
import { fuzzLive } from './fuzz_live.js';
import type { FuzzFinding } from './fuzz_findings.js';

afterEach(() => {
  vi.restoreAllMocks();
});

/** Here the kernel that is asked is the engine itself: it never differs from the engine. */
async function fuzz(check: boolean): Promise<FuzzFinding[]> {
  vi.spyOn(LiveServer, 'open').mockResolvedValue({
    run: async (operations) => await Promise.resolve(computeStates(operations)),
    close: async () => await Promise.resolve(),
  } satisfies Pick<LiveServer, 'run' | 'close'> as LiveServer);
  const found: FuzzFinding[] = [];
  const generated = [1, 2, 3].map((seed) => ({ seed, mode: 'small', operationCount: 25 }) as const);
  await fuzzLive({
    scenarios: generated.map((one) => ({ generated: one, profile: 'default' })),
    check,
    mostTests: 200,
    onWait: () => undefined,
    onScenario: () => undefined,
    onFinding: (finding) => found.push(finding) === 0,
  });
  return found;
}

it('finds nothing where memory is sound', async () => {
  expect(await fuzz(true)).toEqual([]);
});

it('notices a wrong word of the engine that the kernel shows too, if asked to check', async () => {
  flipBitsBehindWrites();
  expect(await fuzz(false)).toEqual([]);
  const [finding] = await fuzz(true);
  expect(finding?.details[0]).toMatch(/invariant content\.shadow-memory: process 0 maps \d+ at/);
  expect(finding?.operations.at(-1)?.op).toBe('write');
  expect(finding?.operations.length).toBeLessThanOrEqual(4);
});
