/**
 * Goal: `live` shows the anon_vmas that the kernel holds. Method: a fork chain whose middle process
 * has died, so that its anon_vmas live on in the chains of the last one only.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findUnifiedMount } from '../../src/linux/cgroup.js';
import { readAnonVmaChains } from '../../src/linux/anon_vma_chains.js';
import { computeAnonVmas } from '../../src/query/anon_vma_view.js';
import type { LiveReport } from '../../src/query/live.js';
import { startCli, temporaryDirectory, until } from './recorder_support.js';

/** Prints the pids of the first and of the last process when the one between them is gone. */
const CHAIN = `
import mmap, os, sys, time
memory = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory[0] = 1
reader, writer = os.pipe()
middle = os.fork()
if middle == 0:
    memory[0] = 2
    if os.fork() == 0:
        memory[0] = 3
        os.write(writer, str(os.getpid()).encode())
        sys.stdin.readline()
    os._exit(0)
os.waitpid(middle, 0)
last = int(os.read(reader, 16))
os.write(1, f'{os.getpid()} {last}\\n'.encode())
sys.stdin.readline()
`;

let first: ChildProcess;
let pids: number[] = [];

beforeAll(async () => {
  first = spawn('/usr/bin/python3', ['-c', CHAIN], { stdio: ['pipe', 'pipe', 'inherit'] });
  let said = '';
  first.stdout?.on('data', (text: Buffer) => (said += text.toString()));
  await until(() => said.endsWith('\n'), 'the middle process is gone');
  pids = said.trim().split(' ').map(Number);
}, 30_000);

afterAll(() => {
  for (const pid of pids) process.kill(pid, 'SIGKILL');
});

function vmasOf(pid: number): number {
  return readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !/\[(vsyscall)\]/.test(line)).length;
}

it('shows a dead ancestor in the last process of the chain only', async () => {
  const view = computeAnonVmas(await readAnonVmaChains(pids), pids);
  const [parent, last] = view.processes;
  expect(parent).toMatchObject({ pid: pids[0], longestChain: 1, deadAncestorCount: 0 });
  expect(last?.longestChain).toBe(3);
  expect(last?.deadAncestorCount).toBeGreaterThan(0);
  expect(view.total.deadAncestorCount).toBe(last?.deadAncestorCount);
  expect(view.processes.map(({ vmaCount }) => vmaCount)).toEqual(pids.map(vmasOf));
  // The pages of the first process may be mapped by the last one as well.
  expect(view.total.widestWalk).toBeGreaterThanOrEqual(2);
});

it('leaves out processes that are gone', async () => {
  const reading = await readAnonVmaChains([...pids, 2 ** 22 - 1]);
  expect(reading.processes.map(({ pid }) => pid)).toEqual(pids);
});

it('is part of the report on a cgroup and on the whole machine', async () => {
  const cgroup = join(findUnifiedMount() ?? '', `test-rmap-${process.pid}`);
  mkdirSync(cgroup);
  try {
    for (const pid of pids) writeFileSync(join(cgroup, 'cgroup.procs'), String(pid));
    const reportOf = async (...args: string[]): Promise<LiveReport> => {
      const cli = startCli(['live', '--json', '--no-kernel-pss', ...args]);
      expect((await cli.ended).code).toBe(0);
      return JSON.parse(cli.stdout) as LiveReport;
    };
    const group = await reportOf('--cgroup', cgroup);
    const seen = group.anonVmas?.processes.map(({ pid }) => pid) ?? [];
    expect(new Set(seen)).toEqual(new Set(pids));
    const last = group.anonVmas?.processes.find(({ pid }) => pid === pids[1]);
    expect(last?.deadAncestorCount).toBeGreaterThan(0);
    const all = await reportOf('--all');
    expect(all.anonVmas?.processes).toContainEqual(last);
    expect((await reportOf('--no-anon-vmas', String(pids[0]))).anonVmas).toBeUndefined();
  } finally {
    const home = join(findUnifiedMount() ?? '', 'cgroup.procs');
    for (const pid of pids) writeFileSync(home, String(pid));
    rmdirSync(cgroup);
  }
});

it('writes a page that shows it', async () => {
  const directory = temporaryDirectory();
  const page = join(directory, 'live.html');
  try {
    const cli = startCli(['live', '--html', page, ...pids.map(String)]);
    expect((await cli.ended).code).toBe(0);
    expect(readFileSync(page, 'utf8')).toContain('kept alive by descendants alone');
    expect(readdirSync('/sys/fs/bpf').filter((name) => name.includes('rmap'))).toEqual([]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
