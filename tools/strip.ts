/**
 * Makes the fast build out of the check build.
 *
 *   node dist/tools/strip.js            dist/check -> dist/plain -> dist/fast
 *   node dist/tools/strip.js --sources  src/{base,kernel} -> dist/stripped (for the type check)
 *
 * Every file is copied; those of `kernel/` (except `kernel/op/`) lose their generators, and
 * `kernel/op/prims` is replaced by `kernel/op/prims_fast`. That is `dist/plain`; in `dist/fast` many
 * modules are joined into few files. Only what changed is written, and what has no
 * source any more is removed, so that a running program keeps its files.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { bundle, bundleAlone, joinedModules, READER } from './bundle.js';
import { isStripped, StripError, stripGenerators } from './strip_source.js';

/** Paths of the files below a folder, relative to it, with `/` between the parts. */
function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'));
}

/** What the file at `path` of a tree holds without generators. */
function plainContents(from: string, path: string): string {
  if (/^kernel\/op\/prims\.(js|d\.ts|ts)$/.test(path)) {
    return readFileSync(join(from, path.replace('/prims.', '/prims_fast.')), 'utf8');
  }
  const file = join(from, path);
  const text = readFileSync(file, 'utf8');
  const code = path.endsWith('.js') || (path.endsWith('.ts') && !path.endsWith('.d.ts'));
  const stripped = code && path.startsWith('kernel/') && isStripped(path.slice('kernel/'.length));
  return stripped ? stripGenerators(file, text) : text;
}

/** Makes `to` hold the files `paths`, and nothing else. */
function mirror(to: string, paths: readonly string[], contentsOf: (path: string) => string): void {
  const wanted = new Set(paths);
  for (const path of filesBelow(to)) {
    if (!wanted.has(path)) rmSync(join(to, path));
  }
  for (const path of paths) {
    const target = join(to, path);
    const contents = contentsOf(path);
    if (existsSync(target) && readFileSync(target, 'utf8') === contents) continue;
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, contents);
  }
}

/** Joins modules of `from` into few files of `to`, and copies the rest. */
async function bundleTo(from: string, to: string): Promise<void> {
  const paths = filesBelow(from).filter((path) => !path.endsWith('.map'));
  const joined = joinedModules(from, paths).filter((path) => path !== READER);
  const bundled = new Map(await bundle(from, joined));
  bundled.set(READER, await bundleAlone(from, READER));
  mirror(
    to,
    [...new Set([...paths, ...bundled.keys()])],
    (path) => bundled.get(path) ?? readFileSync(join(from, path), 'utf8'),
  );
}

/** Removes what the compiler once emitted for sources that are gone. */
function removeOrphans(emitted: string, sources: string): void {
  for (const path of filesBelow(emitted)) {
    const source = path.replace(/\.(js|js\.map|d\.ts)$/, '');
    if (existsSync(join(sources, `${source}.ts`)) || existsSync(join(sources, `${source}.tsx`))) {
      continue;
    }
    rmSync(join(emitted, path));
  }
}

async function main(): Promise<void> {
  if (process.argv.includes('--sources')) {
    const sources = filesBelow('src').filter((path) =>
      /^(base|kernel)\/.*(?<!\.test)\.ts$/.test(path),
    );
    mirror('dist/stripped', sources, (path) => plainContents('src', path));
    return;
  }
  if (!existsSync('dist/check')) throw new StripError('dist/check is missing: run tsc -b first');
  removeOrphans('dist/check', 'src');
  mirror('dist/plain', filesBelow('dist/check'), (path) => plainContents('dist/check', path));
  await bundleTo('dist/plain', 'dist/fast');
}

try {
  await main();
} catch (error) {
  if (!(error instanceof StripError)) throw error;
  process.stderr.write(`strip: ${error.message}\n`);
  process.exitCode = 1;
}
