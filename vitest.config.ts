import { defineConfig } from 'vitest/config';
import { fastBuild } from './tools/vite_fast_build.js';

const checkOnly = process.env['RMAP_BUILD'] === 'check';
const common = { environment: 'node', testTimeout: 120_000, env: { NO_COLOR: '1' } } as const;

export default defineConfig({
  test: {
    coverage: { provider: 'v8', include: ['src/**/*.ts'], exclude: ['**/*.test.ts'] },
    projects: [
      {
        plugins: checkOnly ? [] : [fastBuild(import.meta.url)],
        test: {
          ...common,
          name: checkOnly ? 'rmap (check build)' : 'rmap',
          include: ['{src,test,tools,bench}/**/*.test.ts'],
          exclude: ['src/check/**', 'test/live/**', '**/node_modules/**'],
        },
      },
      {
        // The checker schedules the generators, so it always runs on the check build.
        test: { ...common, name: 'check', include: ['src/check/**/*.test.ts'] },
      },
      ...(process.env['RMAP_LIVE'] === '1'
        ? [{ test: { ...common, name: 'live', include: ['test/live/**/*.test.ts'] } }]
        : []),
    ],
  },
});
