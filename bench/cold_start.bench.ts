import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Benchmark } from './harness.js';

const MAIN = fileURLToPath(import.meta.resolve('#rmap/cli/main.js'));

/** Time to the end of `rmap --help`, node's own start included. */
export const coldStartBenchmarks: readonly Benchmark[] = [
  {
    name: 'cold start',
    item: 'start',
    sizes: [1],
    smokeSize: 1,
    variants: [
      {
        name: 'rmap --help',
        setup: () => ({
          run: () => {
            const { status, stdout } = spawnSync(process.execPath, [MAIN, '--help']);
            return status === 0 ? stdout.length : -1;
          },
        }),
      },
      {
        name: 'node alone',
        setup: () => ({ run: () => spawnSync(process.execPath, ['-e', '0']).status ?? -1 }),
      },
    ],
    budget: { maxNsPerItem: 300e6 },
  },
];
