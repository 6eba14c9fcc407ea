import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findUnifiedMount } from '../../src/linux/cgroup.js';
import { findTracefs } from '../../src/linux/tracefs.js';

const cli = fileURLToPath(new URL('../../dist/fast/cli/main.js', import.meta.url));

/** A program with 60 MiB of memory that forks two children, waits, and lets them write. */
export const FORKING_PROGRAM = [
  'import mmap, os, time',
  'memory = mmap.mmap(-1, 60 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)',
  'for page in range(0, 60 << 20, 4096): memory[page] = 1',
  'for child in range(2):',
  '    if os.fork() == 0:',
  '        for page in range(0, 20 << 20, 4096): memory[page] = 2',
  '        time.sleep(float(os.environ["LINGER"]))',
  '        os._exit(0)',
  'os.wait(); os.wait()',
].join('\n');

/** A running `rmap` with its output so far. */
export interface RunningCli {
  readonly child: ChildProcess;
  readonly pid: number;
  stdout: string;
  stderr: string;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>;
}

export function startCli(
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): RunningCli {
  const child = spawn(process.execPath, [cli, ...args], {
    env: { ...process.env, LINGER: '1', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const running: RunningCli = {
    child,
    pid: child.pid ?? 0,
    stdout: '',
    stderr: '',
    ended: new Promise((resolve) => {
      child.on('exit', (code, signal) => resolve({ code, signal }));
    }),
  };
  child.stdout.on('data', (data: Buffer) => (running.stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (running.stderr += data.toString()));
  return running;
}

export async function until(isDone: () => boolean, what: string, pauseMs = 2): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!isDone()) {
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await setTimeout(pauseMs);
  }
}

export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'rmap-live-'));
}

function names(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

/** Trace instances, cgroups and journals of recorders, whoever runs them. */
export function remains(): string[] {
  const places = [
    join(findTracefs() ?? '/nowhere', 'instances'),
    findUnifiedMount() ?? '/nowhere',
    '/run/rmap',
  ];
  return places.flatMap((place) => names(place).filter((name) => name.startsWith('rmap-')));
}

/** State letter of a process; `''` if it is gone. */
export function stateOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.charAt(stat.lastIndexOf(')') + 2);
  } catch {
    return '';
  }
}

/** Pid of the guard that a recorder has started. */
export function guardOf(recorder: number): number | undefined {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0)
    .find((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
        return (
          parent === recorder && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('rmap-guard')
        );
      } catch {
        return false;
      }
    });
}
