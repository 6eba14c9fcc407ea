/** The running kernel as the other program: the same operations, done by a C program. */
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Trial, Variant } from './harness.js';

const SOURCE = fileURLToPath(new URL('../../bench/kernel_operations.c', import.meta.url));

/** Operations of `kernel_operations.c`. */
export type KernelOperation = 'touch' | 'reuse' | 'copy' | 'fork' | 'zap' | 'mprotect' | 'mremap';

/** Tells a benchmark's own process where the program is. */
const PROGRAM_VARIABLE = 'RMAP_BENCH_KERNEL_OPERATIONS';

let program = process.env[PROGRAM_VARIABLE];
let ownsProgram = false;
let running: ChildProcessWithoutNullStreams | undefined;
/** Why there is no comparison with the kernel here; undefined if there is. */
export let kernelReason: string | undefined;

/** Compiles the program once; undefined where that is not possible. */
function compiled(): string | undefined {
  if (program !== undefined || kernelReason !== undefined) return program;
  if (process.platform !== 'linux') {
    kernelReason = 'this is not Linux';
    return undefined;
  }
  const path = join(mkdtempSync(join(tmpdir(), 'rmap-bench-')), 'kernel_operations');
  const { status, stderr } = spawnSync('cc', ['-O2', '-o', path, SOURCE], { encoding: 'utf8' });
  ownsProgram = true;
  program = path;
  if (status === 0) process.env[PROGRAM_VARIABLE] = path;
  else removeProgram();
  if (status !== 0)
    kernelReason = `no C compiler could be used: ${stderr ?? 'cc is not there'}`.trim();
  return program;
}

/** Ends the program, and removes it if this process made it. */
export function removeProgram(): void {
  running?.kill();
  running = undefined;
  if (ownsProgram && program !== undefined) rmSync(dirname(program), { recursive: true });
  ownsProgram = false;
  program = undefined;
}

/** The kernel doing an operation on as many pages; none where it cannot be asked. */
export function kernelVariants(operation: KernelOperation): Variant[] {
  const path = compiled();
  if (path === undefined) return [];
  return [{ name: 'Linux', setup: (pages) => kernelTrial(path, operation, pages) }];
}

function kernelTrial(path: string, operation: KernelOperation, pages: number): Trial {
  let elapsedNs = 0;
  return {
    async run() {
      elapsedNs = await ask(path, `${operation} ${pages}`);
      return 0;
    },
    elapsedNs: () => elapsedNs,
  };
}

/** One question to the program, which ends with this process. */
async function ask(path: string, question: string): Promise<number> {
  running ??= spawn(path);
  const { stdin, stdout, stderr } = running;
  stdin.write(`${question}\n`);
  const answer = await Promise.race([once(stdout, 'data'), once(running, 'exit')]);
  const elapsedNs = Number(String(answer[0]));
  if (!Number.isFinite(elapsedNs) || String(answer[0]).at(-1) !== '\n') {
    throw new Error(`kernel_operations, ${question}: ${String(stderr.read() ?? answer[0])}`);
  }
  return elapsedNs;
}
