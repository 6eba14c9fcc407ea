/** The running kernel as the other program: the same operations, done by a C program. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Trial, Variant } from './harness.js';

const SOURCE = fileURLToPath(new URL('../../bench/kernel_operations.c', import.meta.url));

/** Operations of `kernel_operations.c`. */
export type KernelOperation = 'touch' | 'reuse' | 'copy' | 'fork' | 'zap' | 'mprotect' | 'mremap';

let program: string | undefined;
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
  if (status === 0) program = path;
  else kernelReason = `no C compiler could be used: ${stderr ?? 'cc is not there'}`.trim();
  return program;
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
    run() {
      const result = spawnSync(path, [operation, String(pages)], { encoding: 'utf8' });
      if (result.status !== 0) throw new Error(`kernel_operations ${operation}: ${result.stderr}`);
      elapsedNs = Number(result.stdout);
      return 0;
    },
    elapsedNs: () => elapsedNs,
  };
}
