import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vite';
import { isStripped, stripGenerators } from './strip_source.js';

/**
 * Loads the sources of `src/kernel` as the fast build has them: without generators, and with
 * `op/prims_fast` in the place of `op/prims`. For vitest and for the build of the explorer.
 * @param root URL of a file at the root of the repository (`import.meta.url` of the configuration).
 */
export function fastBuild(root: string): Plugin {
  const kernel = fileURLToPath(new URL('src/kernel/', root));
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
      // eslint-disable-next-line unicorn/no-null -- vite: positions are unchanged
      return { code: stripGenerators(file, code), map: null };
    },
  };
}
