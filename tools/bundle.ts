import { join, resolve, sep } from 'node:path';
import { rolldown } from 'rolldown';

/** What is joined, by name: `engine` runs in a browser and so must not contain the other. */
const GROUPS = [
  { name: 'engine', layers: ['base', 'kernel'] },
  { name: 'recordings', layers: ['trace', 'replay', 'query'] },
] as const;

/** The other layers find files from their own place, and load what a command needs. */
const BUNDLED = new RegExp(
  `^(${GROUPS.flatMap(({ layers }) => layers).join('|')})/.*(?<!\\.test)\\.js$`,
);

/** Whether the module at a path, relative to the root of the build, becomes part of the bundle. */
export function isBundled(path: string): boolean {
  return BUNDLED.test(path);
}

/**
 * Joins the modules of each group into one file of `bundle/`, with numeric constants in the place of their names, and leaves at
 * the path of each a module that only names what it exported. V8 reads an imported name from a
 * cell, and again at every use in a loop; within one module it knows the value.
 * @param root Folder of the build.
 * @param paths Modules below it, relative, for which `isBundled` holds.
 * @returns What each file must hold, those of `bundle/` included.
 */
export async function bundle(
  root: string,
  paths: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const folder = resolve(root);
  const input = Object.fromEntries(paths.map((path) => [path.slice(0, -3), join(folder, path)]));
  const build = await rolldown({
    cwd: folder,
    input,
    platform: 'neutral',
    external: (id) => !id.startsWith('.') && !id.startsWith(folder),
    treeshake: false,
    optimization: { inlineConst: { mode: 'all', pass: 3 } },
  });
  const { output } = await build.generate({
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'bundle/[name].js',
    codeSplitting: {
      groups: GROUPS.map(({ name, layers }) => ({
        name,
        test: (id) => layers.some((layer) => id.startsWith(join(folder, layer) + sep)),
      })),
    },
  });
  await build.close();
  return new Map(
    output.flatMap((file) => (file.type === 'chunk' ? [[file.fileName, file.code] as const] : [])),
  );
}
