/** A host with many processes, for benchmarks and tests that ask who shares what. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Beside this file, or where it was compiled from. */
const SOURCE = [new URL('forked_family.c', import.meta.url), '../../bench/forked_family.c']
  .map((place) => fileURLToPath(new URL(place, import.meta.url)))
  .find((path) => existsSync(path));

/** Page of the family's 4 MiB that 99 of 100 children share with their parent. */
export const SHARED_ADDRESS = 0x100000100000;

export interface ForkedFamily {
  /** The parent. */
  readonly pid: number;
  /** Path of the program that all of them run. */
  readonly program: string;
  /** Number of the shared memory segment that all of them have. */
  readonly segment: number;
  end(): void;
}

/** Starts a parent with `children` forked processes; ends with `end`. Throws without a compiler. */
export function startForkedFamily(children: number): ForkedFamily {
  const directory = mkdtempSync(join(tmpdir(), 'rmap-family-'));
  const program = join(directory, 'family');
  const built = spawnSync('cc', ['-O1', '-o', program, SOURCE ?? ''], { encoding: 'utf8' });
  if (built.status !== 0) throw new Error(`forked_family.c: ${built.stderr ?? 'no compiler'}`);
  // The family keeps neither our pipes nor our terminal's group.
  const { stdout } = spawnSync(program, [String(children)], { encoding: 'utf8' });
  const [pid = 0, segment = -1] = stdout.split(' ').map(Number);
  // 0 would be our own group when it ends.
  if (!(pid > 1)) throw new Error(`forked_family: ${children} children could not be forked`);
  return {
    pid,
    program,
    segment,
    end() {
      process.kill(-pid, 'SIGKILL');
      rmSync(directory, { recursive: true });
    },
  };
}
