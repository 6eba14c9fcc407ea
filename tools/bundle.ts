import { join, relative, resolve, sep } from 'node:path';
import { rolldown } from 'rolldown';

/** Layers whose modules are joined. The others find files from their own place, and load late. */
const JOINED = /^(base|kernel|trace|replay|query)\/.*(?<!\.test)\.js$/;
const ENGINE = new Set(['base', 'kernel']);

/** Whether the module at a path, relative to the root of the build, becomes part of the bundle. */
export function isBundled(path: string): boolean {
  return JOINED.test(path);
}

/**
 * Joins modules into three files of `bundle/`, with numeric constants in the place of their names,
 * and leaves at the path of each a module that only names what it exported. V8 reads an imported
 * name from a cell, and again at every use in a loop; within one module it knows the value.
 *
 * `engine` is the engine, `analysis` what else runs in a browser, `files` what needs Node or a
 * package, itself or through an import.
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
  const isOfEngine = (id: string): boolean =>
    isOwn(id) && ENGINE.has(relative(folder, id).split(sep)[0] ?? '');
  const build = await rolldown({
    cwd: folder,
    input: Object.fromEntries(paths.map((path) => [path.slice(0, -3), join(folder, path)])),
    platform: 'neutral',
    external: (id) => !id.startsWith('.') && !isOwn(id),
    treeshake: false,
    optimization: { inlineConst: { mode: 'all', pass: 3 } },
  });
  const { output } = await build.generate({
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: 'bundle/[name].js',
    codeSplitting: {
      groups: [
        { name: 'engine', test: isOfEngine, priority: 1 },
        {
          debugName: 'analysis and files',
          test: isOwn,
          name(id, context) {
            const importsOf = (module: string): readonly string[] =>
              context.getModuleInfo(module)?.importedIds ?? [];
            return needs(id, importsOf, (module) => !isOwn(module)) ? 'files' : 'analysis';
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
