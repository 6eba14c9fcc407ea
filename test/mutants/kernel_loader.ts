/** The kernel layer with rules of it replaced: each load is a set of modules of its own. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { moduleRunnerTransform, transformWithOxc } from 'vite';
import { isStripped, stripGenerators } from '../../tools/strip_source.js';

const SOURCES = join(import.meta.dirname, '../../src');
const KERNEL = join(SOURCES, 'kernel');

/** A rule and what is put in its place. */
export interface Edit {
  /** Path below `src/kernel`. */
  readonly file: string;
  /** Text that occurs once in the file. */
  readonly rule: string;
  readonly wrong: string;
}

/** `fast`: without generators; `check`: with every declared point. */
export type Build = 'fast' | 'check';

export type Exports = Record<string, unknown>;

const AsyncFunction = Object.getPrototypeOf(async () => undefined).constructor as new (
  ...names: string[]
) => (
  load: (path: string) => Promise<Exports> | Exports,
  name: (name: string, get: () => unknown) => void,
) => Promise<void>;

/** Bodies of modules that no edit touches, by build and path. */
const bodies = new Map<string, Promise<string>>();

/** One instance of the kernel's modules. */
export class LoadedKernel {
  private readonly build: Build;
  private readonly edits: readonly Edit[];
  private readonly modules = new Map<string, Exports>();
  /** What modules import by name: only those of tests do. */
  private packages: ReadonlyMap<string, Exports> = new Map();

  constructor(build: Build, edits: readonly Edit[]) {
    this.build = build;
    this.edits = edits;
  }

  /**
   * Exports of a module of the kernel, with the edits in force.
   * @param path Below `src/kernel`, without suffix.
   */
  async load<Module>(path: string): Promise<Module> {
    return (await this.loadFile(join(KERNEL, `${path}.ts`))) as Module;
  }

  /**
   * Runs a test file of the kernel, with the edits in force for all that it imports.
   * @param path Below `src/kernel`, without `.test.ts`.
   * @param packages What it gets of the packages that it imports.
   */
  async loadTest(path: string, packages: ReadonlyMap<string, Exports>): Promise<void> {
    this.packages = packages;
    await this.loadFile(join(KERNEL, `${path}.test.ts`));
  }

  private importOf(importer: string, path: string): Promise<Exports> | Exports {
    if (path.startsWith('.')) return this.loadFile(sourceOf(importer, path));
    const found = this.packages.get(path);
    if (found === undefined) throw new Error(`${importer} imports ${path}, which is not given`);
    return found;
  }

  private async loadFile(wanted: string): Promise<Exports> {
    const isPrims = this.build === 'fast' && wanted === join(KERNEL, 'op/prims.ts');
    const file = isPrims ? join(KERNEL, 'op/prims_fast.ts') : wanted;
    const known = this.modules.get(file);
    if (known !== undefined) return known;
    const exports: Exports = {};
    this.modules.set(file, exports);
    const body = new AsyncFunction(
      '__vite_ssr_import__',
      '__vite_ssr_exportName__',
      `'use strict';\n${await this.bodyOf(file)}`,
    );
    await body(
      (path) => this.importOf(file, path),
      (name, get) => Object.defineProperty(exports, name, { enumerable: true, get }),
    );
    return exports;
  }

  private async bodyOf(file: string): Promise<string> {
    const edits = this.edits.filter((edit) => join(KERNEL, edit.file) === file);
    if (edits.length > 0) return await transform(this.build, file, applyEdits(file, edits));
    const key = `${this.build} ${file}`;
    const known = bodies.get(key) ?? transform(this.build, file, readFileSync(file, 'utf8'));
    bodies.set(key, known);
    return await known;
  }
}

/** Kernels without edits, one a build: their modules keep no state, so all tests may share them. */
const unchanged = new Map<Build, LoadedKernel>();

/** The kernel with these edits. */
export function loadKernel(build: Build, edits: readonly Edit[]): LoadedKernel {
  if (edits.length > 0) return new LoadedKernel(build, edits);
  const known = unchanged.get(build) ?? new LoadedKernel(build, edits);
  unchanged.set(build, known);
  return known;
}

/** The text of a file with the edits made. Each rule must occur exactly once. */
function applyEdits(file: string, edits: readonly Edit[]): string {
  let text = readFileSync(file, 'utf8');
  for (const { file: path, rule, wrong } of edits) {
    const count = text.split(rule).length - 1;
    if (count !== 1) {
      throw new Error(
        `${path} has the rule of a mutant ${count} times, not once: adapt the mutant to the ` +
          `rule's new words\n${rule}`,
      );
    }
    text = text.replace(rule, () => wrong);
  }
  return text;
}

async function transform(build: Build, file: string, source: string): Promise<string> {
  const isKernel = file.startsWith(KERNEL) && isStripped(file.slice(KERNEL.length + 1));
  const plain = build === 'fast' && isKernel ? stripGenerators(file, source) : source;
  const { code } = await transformWithOxc(plain, file, { sourcemap: false });
  // eslint-disable-next-line unicorn/no-null -- vite: there is no map to start from
  const module = await moduleRunnerTransform(code, null, file, code);
  if (module === null) throw new Error(`${file} could not be made a module`);
  return module.code;
}

function sourceOf(importer: string, path: string): string {
  const source = resolve(importer, '..', path.replace(/\.js$/, '.ts'));
  if (!existsSync(source)) throw new Error(`${importer} imports ${path}, which is no source`);
  return source;
}
