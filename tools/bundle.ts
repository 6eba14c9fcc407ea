import { readFileSync } from 'node:fs';
import { join, posix, relative, resolve, sep } from 'node:path';
import { rolldown } from 'rolldown';

/** The module that a thread of its own loads. */
export const READER = 'trace/threaded/reader.js';

/** What goes through every event and page of a recording. */
const ENGINE = /^(base|kernel|trace|replay|query\/explain)\/.*(?<!\.test)\.js$/;

/**
 * What a command that answers at once must load: loading a module takes a millisecond. By file, the
 * modules that lead to the rest; what the first needs is in no other.
 */
const AT_ONCE: Readonly<Record<string, readonly string[]>> = {
  command_line: ['cli/command_table.js', 'cli/run_cli.js'],
  who: ['cli/commands/who.js'],
};

/** Loaded before all else, by a thread of its own, or never in a browser: not joined with others. */
const ALONE = /^trace\/threaded\//;
/** The largest package: who reads does without. */
const WRITER = 'hyparquet-writer';

const STATIC_IMPORT = /^(?:import|export)\b[^;'"]*['"](\.[^'"]+)['"]/gm;

/**
 * The modules that are joined. The rest does little work, finds files from its own place, or is
 * loaded only when a command wants it.
 * @param root Folder of the build.
 * @param paths Modules below it, relative.
 */
export function joinedModules(root: string, paths: readonly string[]): readonly string[] {
  const joined = new Set(Object.values(AT_ONCE).flat());
  for (const path of joined) {
    const code = readFileSync(join(root, path), 'utf8');
    for (const [, to = ''] of code.matchAll(STATIC_IMPORT)) {
      joined.add(posix.join(posix.dirname(path), to));
    }
  }
  return paths.filter((path) => joined.has(path) || ENGINE.test(path));
}

/**
 * Joins modules into few files of `bundle/`, with numeric constants in the place of their names,
 * and leaves at the path of each a module that only names what it exported. V8 reads an imported
 * name from a cell, and again at every use in a loop; within one module it knows the value.
 *
 * What a module needs, itself or through an import, says where it goes, so that nobody loads what
 * is not needed: `kernel` is the engine, `analysis` works with it, `formats` does not; `files` and
 * `file_analysis` are the same for modules that need Node or a package, `writers` for those that need
 * the package that writes tables. What no layer of the engine
 * holds goes by the command that needs it (`AT_ONCE`); `reports` of it runs in a browser.
 * @param root Folder of the build.
 * @param paths Modules below it, relative, of `joinedModules`.
 * @returns What each file must hold, those of `bundle/` included.
 */
export async function bundle(
  root: string,
  paths: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const folder = resolve(root);
  const isOwn = (id: string): boolean => id.startsWith(folder + sep);
  const pathOf = (id: string): string => relative(folder, id).split(sep).join('/');
  const layerOf = (id: string): string => pathOf(id).split('/')[0] ?? '';
  const joined = new Set(paths.map((path) => join(folder, path)));
  const isOfLayer =
    (layer: string) =>
    (id: string): boolean =>
      isOwn(id) && layerOf(id) === layer;
  const build = await rolldown({
    cwd: folder,
    input: Object.fromEntries(paths.map((path) => [path.slice(0, -3), join(folder, path)])),
    platform: 'neutral',
    external: (id) => !id.startsWith('.') && !joined.has(id),
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
            if (!ENGINE.test(pathOf(id))) {
              if (layerOf(id) === 'query') return 'reports';
              const isIt = (module: string): boolean => module === id;
              return Object.entries(AT_ONCE).find(([, roots]) =>
                roots.some((path) => needs(join(folder, path), importsOf, isIt)),
              )?.[0];
            }
            if (ALONE.test(pathOf(id))) return undefined;
            const needsKernel = needs(id, importsOf, isOfLayer('kernel'));
            if (needs(id, importsOf, (module) => module === WRITER)) return 'writers';
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

/**
 * Joins a module with all that it needs, packages too, into one file: for what a thread loads, which
 * starts in every command anew. What is not used is left out.
 * @param root Folder of the build.
 * @param path Module below it, relative.
 * @returns What its file must hold.
 */
export async function bundleAlone(root: string, path: string): Promise<string> {
  const build = await rolldown({
    cwd: resolve(root),
    input: join(resolve(root), path),
    platform: 'node',
    optimization: { inlineConst: { mode: 'all', pass: 3 } },
  });
  const { output } = await build.generate({ format: 'esm', codeSplitting: false });
  await build.close();
  return output[0].code;
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
