import { join, relative, resolve, sep } from 'node:path';
import { rolldown } from 'rolldown';

/**
 * What is joined: the engine, and what goes through every event and page of a recording. The rest
 * does little work, finds files from its own place, or is loaded only when a command wants it.
 */
const JOINED = /^(base|kernel|trace|replay|query\/explain)\/.*(?<!\.test)\.js$/;

/** Whether the module at a path, relative to the root of the build, becomes part of the bundle. */
export function isBundled(path: string): boolean {
  return JOINED.test(path);
}

/**
 * Joins modules into few files of `bundle/`, with numeric constants in the place of their names,
 * and leaves at the path of each a module that only names what it exported. V8 reads an imported
 * name from a cell, and again at every use in a loop; within one module it knows the value.
 *
 * What a module needs, itself or through an import, says where it goes, so that nobody loads what
 * is not needed: `kernel` is the engine, `analysis` works with it, `formats` does not; `files` and
 * `file_analysis` are the same for modules that need Node or a package.
 * @param root Folder of the build.
 * @param paths Modules below it, relative, for which `isBundled` holds.
 * @returns What each file must hold, those of `bundle/` included.
 */
export async function bundle(
  root: string,
  paths: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const folder = resolve(root);
  const isOwn = (id: string): boolean => id.startsWith(folder + sep);
  const layerOf = (id: string): string => relative(folder, id).split(sep)[0] ?? '';
  const isOfLayer =
    (layer: string) =>
    (id: string): boolean =>
      isOwn(id) && layerOf(id) === layer;
  const build = await rolldown({
    cwd: folder,
    input: Object.fromEntries(paths.map((path) => [path.slice(0, -3), join(folder, path)])),
    platform: 'neutral',
    external: (id) => !id.startsWith('.') && !isOwn(id),
    treeshake: false,
    preserveEntrySignatures: 'allow-extension',
    optimization: { inlineConst: { mode: 'all', pass: 3 } },
  });
  const { output } = await build.generate({
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'bundle/[name].js',
    codeSplitting: {
      includeDependenciesRecursively: false,
      groups: [
        { name: 'base', test: isOfLayer('base'), priority: 2 },
        { name: 'kernel', test: isOfLayer('kernel'), priority: 1 },
        {
          debugName: 'by need',
          test: isOwn,
          name(id, context) {
            const importsOf = (module: string): readonly string[] =>
              context.getModuleInfo(module)?.importedIds ?? [];
            const needsKernel = needs(id, importsOf, isOfLayer('kernel'));
            if (needs(id, importsOf, (module) => !isOwn(module))) {
              return needsKernel ? 'file_analysis' : 'files';
            }
            return needsKernel ? 'analysis' : 'formats';
          },
        },
      ],
    },
  });
  await build.close();
  return new Map(
    output.flatMap((file) => (file.type === 'chunk' ? [[file.fileName, file.code] as const] : [])),
  );
}

/** Whether a module, or one that it imports directly or not, is such a one. */
function needs(
  module: string,
  importsOf: (module: string) => readonly string[],
  isSuch: (module: string) => boolean,
): boolean {
  const seen = new Set([module]);
  for (const one of seen) {
    if (isSuch(one)) return true;
    for (const other of importsOf(one)) seen.add(other);
  }
  return false;
}
