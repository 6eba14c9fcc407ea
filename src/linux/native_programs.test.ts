import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { nativePrograms } from './native_programs.js';

let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'rmap-native-'));
  vi.stubEnv('XDG_CACHE_HOME', join(directory, 'cache'));
  vi.stubEnv('PATH', join(directory, 'bin'));
  mkdirSync(join(directory, 'bin'));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true });
});

/** A stand-in for the compiler, in shell without any other program. */
function installCompiler(script: string): void {
  const path = join(directory, 'bin', 'clang');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

/** Makes the file behind `-o`. */
const OBEDIENT = 'while [ "$1" != -o ]; do shift; done; : > "$2"';

describe('nativePrograms', () => {
  it('says what to install when there is no compiler', async () => {
    await expect(nativePrograms()).rejects.toMatchObject({
      code: 'environment',
      message: expect.stringMatching(/^clang is missing: .*apt-get install clang libbpf-dev/),
    });
  });

  it('says what to install when headers are missing', async () => {
    installCompiler(`echo "x.c:1: fatal error: 'bpf/bpf.h' file not found" >&2; exit 1`);
    await expect(nativePrograms()).rejects.toMatchObject({
      code: 'environment',
      message: expect.stringMatching(/bpf\/bpf\.h' file not found; .*libbpf-dev/),
    });
    expect(readdirSync(join(directory, 'cache/rmap/native'))).toEqual([]);
  });

  it('compiles once, and takes what is there the next time', async () => {
    installCompiler(`${OBEDIENT}; echo x >> ${join(directory, 'calls')}`);
    const programs = await nativePrograms();
    for (const path of Object.values(programs)) expect(existsSync(path)).toBe(true);
    installCompiler('exit 1');
    expect(await nativePrograms()).toEqual(programs);
  });

  it('does not run programs from a place that others can write to', async () => {
    installCompiler(OBEDIENT);
    const cache = join(directory, 'cache/rmap/native');
    mkdirSync(cache, { recursive: true });
    chmodSync(cache, 0o777);
    await expect(nativePrograms()).rejects.toMatchObject({
      code: 'environment',
      message: expect.stringContaining('can be written by others'),
    });
  });
});

describe('BPF programs', () => {
  const native = new URL('../../native/', import.meta.url);
  const sources = readdirSync(native)
    .filter((name) => name.endsWith('.bpf.c'))
    .map((name) => readFileSync(new URL(name, native), 'utf8'));

  /** What the kernel offers to programs that we use; none of it changes anything but our maps. */
  const READING = new Set([
    'bpf_probe_read_kernel',
    'bpf_seq_write',
    'bpf_map_lookup_elem',
    'bpf_loop',
    'bpf_core_field_exists',
    'bpf_core_field_offset',
  ]);

  it('only read', () => {
    const calls = sources.flatMap((source) =>
      [...source.matchAll(/\b(bpf_\w+)\(/g)].map(([, name = '']) => name),
    );
    expect(calls.length).toBeGreaterThan(5);
    expect(calls.filter((name) => !READING.has(name))).toEqual([]);
  });

  it('run when they are asked: as iterators or as a call, attached to nothing', () => {
    const sections = sources.flatMap((source) =>
      [...source.matchAll(/SEC\("([^"]+)"\)/g)].map(([, name = '']) => name),
    );
    expect(new Set(sections)).toEqual(new Set(['iter/task_vma', 'syscall', '.maps', 'license']));
  });
});
