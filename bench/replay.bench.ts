import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isExact, replayPath } from '#rmap/replay/index.js';
import { parseManifest } from '#rmap/trace/native/manifest.js';
import type { Benchmark } from './harness.js';

const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url));

/** Replay of a whole recording: decoding, and the comparison at every snapshot, included. */
function replayBenchmark(name: string, minTimesFaster: number | undefined): Benchmark {
  const path = join(EXAMPLES, name);
  const { events, durationNs } = parseManifest(
    readFileSync(join(path, 'manifest.json'), 'utf8'),
    path,
  );
  let faults = 0;
  return {
    name: `replay of ${name}`,
    item: 'event',
    sizes: [events],
    smokeSize: events,
    warmUpMs: 2500,
    variants: [
      {
        name: 'replay',
        setup: () => ({
          async run() {
            const { driver, snapshots } = await replayPath(path);
            if (!snapshots.every(isExact)) throw new Error(`${name}: a snapshot does not agree`);
            faults = driver.machine.kernel.work.faults;
            return faults;
          },
          counters: () => ({ faults }),
        }),
      },
      {
        name: 'the recorded program',
        setup: () => ({ run: () => 0, elapsedNs: () => durationNs }),
      },
    ],
    budget: {
      maxNsPerItem: 1000,
      ...(minTimesFaster === undefined ? {} : { minTimesFaster }),
    },
  };
}

/** The Python recording is one storm of faults, so only Redis is held against real time. */
export const replayBenchmarks: readonly Benchmark[] = [
  replayBenchmark('redis', 10),
  replayBenchmark('python-prefork', undefined),
];
