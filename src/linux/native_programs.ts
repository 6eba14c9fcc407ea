import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync } from 'node:fs';
import { rmSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { RmapError } from '../base/errors.js';

const run = promisify(execFile);

/** Paths of the programs that perform scenarios and look at them. */
export interface NativePrograms {
  readonly actor: string;
  readonly observer: string;
  readonly bpfObject: string;
}

/** Paths of the program that reads anon_vma chains. */
export interface NativeChains {
  readonly chains: string;
  readonly bpfObject: string;
}

const INSTALL = 'install them (Debian: apt-get install clang libbpf-dev libc6-dev)';

/** Directory of the C sources: `native/` beside the package.json above this file. */
function sourceDirectory(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, 'native', 'observer.bpf.c'))) {
    const parent = dirname(directory);
    if (parent === directory) {
      throw new RmapError(
        'environment',
        'the C sources (native/) are not part of this installation',
      );
    }
    directory = parent;
  }
  return join(directory, 'native');
}

function hashOf(directory: string, files: readonly string[]): string {
  const hash = createHash('sha256').update(process.arch);
  for (const file of files) hash.update(file).update(readFileSync(join(directory, file)));
  return hash.digest('hex').slice(0, 16);
}

/** Where compiled programs are kept. They run as root, so the place must be ours alone. */
function cacheDirectory(): string {
  const base = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  const directory = join(base, 'rmap', 'native');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const { uid, mode } = statSync(directory);
  if (uid !== process.getuid?.() || (mode & 0o022) !== 0) {
    throw new RmapError('environment', `${directory} can be written by others: set XDG_CACHE_HOME`);
  }
  return directory;
}

async function compile(command: string, args: readonly string[], cwd: string): Promise<void> {
  try {
    await run(command, args, { cwd });
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT') {
      throw new RmapError('environment', `${command} is missing: ${INSTALL}`, { cause: error });
    }
    const line = stderr?.split('\n').find((text) => text.includes('error')) ?? String(error);
    const missing = /file not found|cannot find -l|No such file/.test(stderr ?? '');
    const advice = missing ? `; headers or libraries are missing: ${INSTALL}` : '';
    throw new RmapError('environment', `${command} failed: ${line.trim()}${advice}`, {
      cause: error,
    });
  }
}

const WARNINGS = ['-O2', '-Wall'];

/** Compiles sources in the directory `sources` to files in the directory `to`. */
type Build = (sources: string, files: readonly string[], to: string) => Promise<void>;

async function compileBpf(sources: string, name: string, to: string): Promise<void> {
  const args = ['-g', '-target', 'bpf', '-c', `${name}.bpf.c`, '-o', join(to, `${name}.bpf.o`)];
  await compile('clang', [...WARNINGS, ...args], sources);
}

/** A program that loads BPF programs. */
async function compileReader(
  sources: string,
  name: string,
  files: readonly string[],
  to: string,
): Promise<void> {
  const args = [...files, '-o', join(to, name), '-lbpf', '-lelf', '-lz'];
  await compile('clang', [...WARNINGS, ...args], sources);
}

const buildScenarios: Build = async (sources, files, to) => {
  const observer = files.filter((file) =>
    /^(observer|observe_\w+|kernel_memory|page_tables)\.c$/.test(file),
  );
  const actor = files.filter((file) => /^(actor|host|settings)\w*\.c$/.test(file));
  await compileBpf(sources, 'observer', to);
  await compileReader(sources, 'observer', observer, to);
  // Static: the fewer mappings of its own a process has, the less
  // it disturbs, and the break may only be placed above its data.
  await compile('clang', [...WARNINGS, '-static', ...actor, '-o', join(to, 'actor')], sources);
};

const buildChains: Build = async (sources, _files, to) => {
  await compileBpf(sources, 'chains', to);
  await compileReader(sources, 'chains', ['chains.c', 'kernel_memory.c'], to);
};

/**
 * Directory of native programs, compiled on first use and kept by the hash of their sources.
 * Throws an `environment` error that says what to install where a compiler is missing.
 */
async function built(name: string, build: Build): Promise<string> {
  const sources = sourceDirectory();
  const files = readdirSync(sources)
    .filter((file) => /\.[ch]$/.test(file))
    .sort((left, right) => (left < right ? -1 : 1));
  const cache = cacheDirectory();
  const kept = join(cache, `${name}-${hashOf(sources, files)}`);
  if (existsSync(kept)) return kept;
  const fresh = mkdtempSync(join(cache, 'build-'));
  try {
    await build(sources, files, fresh);
    renameSync(fresh, kept);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    // Another run may have been faster.
    if (!existsSync(kept)) throw error;
  }
  return kept;
}

/** The programs for live scenarios. */
export async function nativePrograms(): Promise<NativePrograms> {
  const kept = await built('scenarios', buildScenarios);
  return {
    actor: join(kept, 'actor'),
    observer: join(kept, 'observer'),
    bpfObject: join(kept, 'observer.bpf.o'),
  };
}

/** The program that reads anon_vma chains of any process. */
export async function nativeChains(): Promise<NativeChains> {
  const kept = await built('chains', buildChains);
  return { chains: join(kept, 'chains'), bpfObject: join(kept, 'chains.bpf.o') };
}
