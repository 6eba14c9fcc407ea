import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import type { Plugin } from 'vitest/config';
import { isStripped, stripGenerators } from './tools/strip_source.js';

const root = fileURLToPath(new URL('.', import.meta.url));
const kernel = join(root, 'src/kernel/');

/** Runs the tests on the fast build: generators of `kernel/` are stripped while loading. */
function fastBuild(): Plugin {
  return {
    name: 'rmap-fast-build',
    enforce: 'pre',
    async resolveId(source, importer, options) {
      if (!source.endsWith('/prims.js') || importer === undefined) return undefined;
      const resolved = await this.resolve(source, importer, { ...options, skipSelf: true });
      if (resolved?.id !== join(kernel, 'op/prims.ts')) return undefined;
      return join(kernel, 'op/prims_fast.ts');
    },
    transform(code, id) {
      const [file = id] = id.split('?');
      if (!file.startsWith(kernel) || !file.endsWith('.ts')) return undefined;
      if (!isStripped(file.slice(kernel.length))) return undefined;
      return { code: stripGenerators(file, code), map: null };
    },
  };
}

const checkOnly = process.env['RMAP_BUILD'] === 'check';
const common = { environment: 'node', testTimeout: 30_000 } as const;

export default defineConfig({
  test: {
    coverage: { provider: 'v8', include: ['src/**/*.ts'], exclude: ['**/*.test.ts'] },
    projects: [
      {
        plugins: checkOnly ? [] : [fastBuild()],
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
