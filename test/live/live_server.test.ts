/** Live runs on this kernel: what was given comes out again, and nothing is left behind. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { Rng } from '../../src/base/rng.js';
import type { Operation } from '../../src/kernel/operation.js';
import { performScenario } from '../../src/linux/live_scenario.js';
import { LiveServer } from '../../src/linux/live_server.js';
import { fixedEnvironment } from '../../src/linux/live_settings.js';
import { agrees, verifyScenario } from '../../src/linux/verify_live.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cases = join(root, 'test/cases');
const caseFiles = readdirSync(cases)
  .filter((name) => name.endsWith('.ops.jsonl'))
  .map((name) => join(cases, name));

/** Scenarios are performed in the order of this seed, as many as fit. */
const SAMPLE_SEED = 1;
const SAMPLE_MS = 60_000;
const SAMPLE_LEAST = 200;

function shuffled<T>(items: readonly T[], seed: number): T[] {
  const random = new Rng(seed);
  return items
    .map((item) => ({ item, key: random.next32() }))
    .toSorted((left, right) => left.key - right.key)
    .map(({ item }) => item);
}

const KSM_SLEEP = '/sys/kernel/mm/ksm/sleep_millisecs';
const RUN_DIRECTORY = '/run/rmap-live';
const MEMORY_CGROUP = '/sys/fs/cgroup/memory/rmap-live';

/** Everything global that a live run may change. */
function globalState(): Record<string, string> {
  const state: Record<string, string> = {};
  const paths = [...fixedEnvironment().map(({ path }) => path), '/proc/sys/vm/nr_hugepages'];
  for (const path of [...paths, '/proc/swaps']) state[path] = readFileSync(path, 'utf8');
  state['block devices'] = readdirSync('/sys/block').join(' ');
  state['cgroup'] = String(existsSync(MEMORY_CGROUP));
  state['swap files'] = readdirSync('/var/tmp')
    .filter((name) => name.startsWith('rmap-live'))
    .join(' ');
  return state;
}

/** Pids of living processes of this name, by parent or all. */
function pidsNamed(name: string, parent?: number): number[] {
  return readdirSync('/proc').flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      if (!stat.includes(`(${name}) `)) return [];
      const [state, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      // A zombie only waits for its parent to look.
      if (state === 'Z') return [];
      return parent === undefined || Number(ppid) === parent ? [Number(entry)] : [];
    } catch {
      return [];
    }
  });
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let waitedMs = 0; !condition(); waitedMs += 20) {
    if (waitedMs > 20_000) throw new Error(`waited in vain until ${what}`);
    await setTimeout(20);
  }
}

/** A scenario that has changed everything there is to change when it comes to its sleep. */
const EVERYTHING: Operation[] = [
  { op: 'config', key: 'thp', value: 'always' },
  { op: 'config', key: 'hugetlb', value: 2 },
  { op: 'config', key: 'ksm_max_sharing', value: 3 },
  { op: 'swapon', kind: 'zram' },
  { op: 'memcg', p: 0, on: 1 },
  { op: 'mmap', p: 0, at: 0, n: 16, prot: 'rw', flags: 'private|anon' },
  { op: 'madvise', p: 0, at: 0, n: 16, advice: 'mergeable' },
  { op: 'write', p: 0, at: 0, n: 8, v: 5 },
  { op: 'write', p: 0, at: 8, n: 8, v: 6 },
  { op: 'ksm', scans: 3 },
  { op: 'mmap', p: 0, at: 64, n: 4, prot: 'rw', flags: 'private|anon' },
  { op: 'write', p: 0, at: 64, n: 4, v: 7 },
  { op: 'madvise', p: 0, at: 64, n: 4, advice: 'pageout' },
  { op: 'fork', p: 0, c: 1 },
  { op: 'sleep', ms: 20_000 },
];

const children: ChildProcess[] = [];

afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** Another Node process that opens a server, says so, and performs `operations`. */
async function startOther(operations: readonly Operation[]): Promise<ChildProcess> {
  const module = join(root, 'dist/fast/linux/live_server.js');
  const script = `
    const { LiveServer } = await import(${JSON.stringify(module)});
    const server = await LiveServer.open();
    console.log('open');
    await server.run(${JSON.stringify(operations)});
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  children.push(child);
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once('data', () => {
      resolve();
    });
    child.once('exit', () => {
      reject(new Error('the other process ended before its server was open'));
    });
  });
  return child;
}

function swapIsOn(): boolean {
  return readFileSync('/proc/swaps', 'utf8').includes('zram');
}

describe('live runs', { timeout: 300_000 }, () => {
  it('gives stored scenarios the stored answer', async () => {
    const before = globalState();
    const order = shuffled(caseFiles, SAMPLE_SEED);
    const deadlineMs = performance.now() + SAMPLE_MS;
    const differing: unknown[] = [];
    let count = 0;
    const server = await LiveServer.open();
    try {
      for (const file of order) {
        if (performance.now() > deadlineMs) break;
        const verdict = await verifyScenario(server, file, {});
        count += 1;
        if (!agrees(verdict)) differing.push([file, verdict.given?.differences.slice(0, 3)]);
      }
    } finally {
      await server.close();
    }
    process.stdout.write(`${count} of ${order.length} scenarios performed, seed ${SAMPLE_SEED}\n`);
    expect(differing).toEqual([]);
    expect(count).toBeGreaterThanOrEqual(SAMPLE_LEAST);
    expect(globalState()).toEqual(before);
  });

  it('restores settings after an error within a scenario', async () => {
    const before = globalState();
    const running = performScenario([...EVERYTHING.slice(0, -1), { op: 'sleep', ms: 1000 }]);
    await until(() => swapIsOn(), 'the scenario sleeps');
    // Both processes of the scenario, whose parents are actors.
    const actors = pidsNamed('actor');
    for (const pid of actors.flatMap((actor) => pidsNamed('actor', actor))) {
      process.kill(pid, 'SIGKILL');
    }
    await expect(running).rejects.toMatchObject({ code: 'environment' });
    expect(globalState()).toEqual(before);
  });

  it('refuses what it cannot perform before anything happens, and goes on', async () => {
    const server = await LiveServer.open();
    try {
      const between = globalState();
      const thp: Operation = { op: 'config', key: 'thp', value: 'always' };
      await expect(server.run([thp, { op: 'khugepaged', p: 0 }])).rejects.toThrow(
        'operation 1: khugepaged cannot be performed live',
      );
      await expect(
        server.run([thp, { op: 'config', key: 'mthp.12kB', value: 'always' }]),
      ).rejects.toThrow('this kernel has no /sys/kernel/mm/transparent_hugepage/hugepages-12kB');
      expect(globalState()).toEqual(between);
      expect((await server.run([])).states).toHaveLength(1);
    } finally {
      await server.close();
    }
  });

  it('waits until the pins of a process that exits are gone', async () => {
    const { states } = await performScenario([
      { op: 'file', id: 'f', n: 1, kind: 'memfd' },
      { op: 'mmap', p: 0, at: 0, n: 1, prot: 'rw', flags: 'shared', file: 'f', off: 0 },
      { op: 'fork', p: 0, c: 1 },
      { op: 'write', p: 0, at: 0, n: 1, v: 1 },
      { op: 'write', p: 1, at: 0, n: 1, v: 1 },
      { op: 'pin', p: 0, at: 0, n: 1, id: 1 },
      { op: 'dump', label: 'pinned' },
      { op: 'exit', p: 0 },
    ]);
    expect(states.map(({ folios }) => folios['F0']?.refs)).toEqual([1024 + 3, 2]);
  });

  it('restores settings between scenarios', async () => {
    const server = await LiveServer.open();
    try {
      await server.run([]);
      const between = globalState();
      await server.run(EVERYTHING.slice(0, -1));
      // The RAM disk is kept for the next scenario with swap, but not in use; the sleep of ksmd
      // changes with every scan.
      const kept = { 'block devices': expect.any(String), [KSM_SLEEP]: expect.any(String) };
      expect(globalState()).toEqual({ ...between, ...kept });
    } finally {
      await server.close();
    }
  });

  it.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)('cleans up after %s to us', async (signal) => {
    const before = globalState();
    const other = await startOther(EVERYTHING);
    await until(() => swapIsOn() && existsSync(MEMORY_CGROUP), 'the scenario sleeps');
    other.kill(signal);
    await until(() => pidsNamed('actor').length === 0, 'the actor has left');
    expect(globalState()).toEqual(before);
    expect(existsSync(join(RUN_DIRECTORY, 'journal'))).toBe(false);
  });

  it('cleans up at once after SIGTERM to the actor, at idle', async () => {
    const before = globalState();
    const other = await startOther([]);
    const [actor = 0] = pidsNamed('actor', other.pid);
    process.kill(actor, 'SIGTERM');
    await until(() => pidsNamed('actor').length === 0, 'the actor has left');
    expect(globalState()).toEqual(before);
  });

  it('undoes at its start what a killed actor left', async () => {
    const before = globalState();
    const other = await startOther(EVERYTHING);
    await until(() => swapIsOn() && existsSync(MEMORY_CGROUP), 'the scenario sleeps');
    const [actor = 0] = pidsNamed('actor', other.pid);
    process.kill(actor, 'SIGKILL');
    await until(() => pidsNamed('actor').length === 0, 'the processes of the scenario have left');
    expect(globalState()).not.toEqual(before);
    const server = await LiveServer.open();
    await server.close();
    expect(globalState()).toEqual(before);
  });

  it('lets one live run work at a time', async () => {
    const other = await startOther(EVERYTHING);
    let waited = 0;
    const second = LiveServer.open({
      onWait: () => {
        waited += 1;
        other.kill('SIGKILL');
      },
    });
    const server = await second;
    expect(waited).toBe(1);
    const file = await server.run([
      { op: 'mmap', p: 0, at: 0, n: 1, prot: 'rw', flags: 'private|anon' },
      { op: 'write', p: 0, at: 0, n: 1, v: 3 },
    ]);
    await server.close();
    expect(file.states[0]?.folios['F0']?.refs).toBe(1);
  });

  it('keeps working after an operation of a process that is gone', async () => {
    const file = await performScenario([
      { op: 'exit', p: 0 },
      { op: 'fork', p: 0, c: 1 },
    ]);
    expect(file.results).toEqual([
      { i: 0, ret: 0 },
      { i: 1, ret: -1, err: 'ESRCH' },
    ]);
    expect(file.states).toEqual([{ label: 'final', op: 2, procs: {}, anon_vmas: {}, folios: {} }]);
  });
});
