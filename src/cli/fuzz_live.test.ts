import { afterEach, expect, it, vi } from 'vitest';
import { flipBitsBehindWrites } from '../../test/support/flipped_bits.js';
import { LiveServer } from '../linux/live_server.js';
import { computeStates } from '../query/scenario.js';
import type { StateFile } from '../trace/state.js';
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
    onUnsteady: () => undefined,
    onFinding: async (finding) => await Promise.resolve(found.push(finding) === 0),
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

it('names the scenarios that the kernel answers in two ways', async () => {
  let runs = 0;
  vi.spyOn(LiveServer, 'open').mockResolvedValue({
    run: async (operations): Promise<StateFile> => {
      const state = computeStates(operations);
      runs += 1;
      const results = state.results.map((result, i) =>
        i === 0 ? { ...result, ret: -runs } : result,
      );
      return await Promise.resolve({ ...state, results });
    },
    close: async () => await Promise.resolve(),
  } satisfies Pick<LiveServer, 'run' | 'close'> as LiveServer);
  const unsteady: number[] = [];
  const counts = await fuzzLive({
    scenarios: [5, 6].map((seed) => ({
      generated: { seed, mode: 'small', operationCount: 10 },
      profile: 'default',
    })),
    check: false,
    mostTests: 0,
    onWait: () => undefined,
    onScenario: () => undefined,
    onUnsteady: ({ generated }) => unsteady.push(generated.seed),
    onFinding: async () => await Promise.resolve(true),
  });
  expect([unsteady, counts.unsteady]).toEqual([[5, 6], 2]);
});
