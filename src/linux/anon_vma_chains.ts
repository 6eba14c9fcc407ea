import { spawnSync } from 'node:child_process';
import { RmapError } from '../base/errors.js';
import type { AnonVmaReading } from '../query/anon_vma_view.js';
import { nativeChains } from './native_programs.js';

/** 500 processes give half a MB. */
const MOST_OUTPUT_BYTES = 1 << 30;

/**
 * Reads the anon_vma chains of processes out of the running kernel, each process at one time (the
 * kernel holds its mmap_lock meanwhile); processes that are gone are left out. 0.25 ms of CPU a
 * process. Compiles a program on first use. Throws an `environment` error where this machine
 * cannot do it.
 */
export async function readAnonVmaChains(pids: readonly number[]): Promise<AnonVmaReading> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new RmapError('environment', 'anon_vmas are read by BPF: needs root on Linux');
  }
  const { chains, bpfObject } = await nativeChains();
  const { stdout, error, status } = spawnSync(chains, [bpfObject], {
    input: pids.map((pid) => `${pid}\n`).join(''),
    encoding: 'utf8',
    maxBuffer: MOST_OUTPUT_BYTES,
  });
  if (error !== undefined) {
    throw new RmapError('environment', `chains cannot be run: ${error.message}`, { cause: error });
  }
  const line = stdout.slice(stdout.lastIndexOf('\n', stdout.length - 2) + 1);
  const refused = /\{"error":"(.*)"\}\s*$/.exec(line)?.[1];
  if (status !== 0 || refused !== undefined) {
    throw new RmapError('environment', `chains: ${refused ?? `exit status ${status}`}`);
  }
  return JSON.parse(stdout) as AnonVmaReading;
}
