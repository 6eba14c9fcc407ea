/**
 * Goal: how many scenarios `fuzz` performs at a time changes nothing of what it says. Method: the
 * command itself, with a module loaded first, into its threads too, that damages the engine.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { temporaryDirectory } from '../../test/support/trace_events.js';
import { RmapError } from '../base/errors.js';
import { planJobs } from './fuzz_plan.js';

const DIST = fileURLToPath(new URL('../../dist', import.meta.url));

interface Ran {
  readonly code: unknown;
  readonly stdout: string;
  readonly stderr: string;
  /** Contents of what was saved, by name. */
  readonly saved: Readonly<Record<string, string>>;
}

interface Setting {
  readonly build?: 'fast' | 'check';
  /** Body of what is done behind each operation, with `operation`, `machine` and `isMainThread`. */
  readonly damage?: string;
  readonly damagedBuild?: 'fast' | 'check';
  /** SIGINT is sent when stdout has this. */
  readonly stopAt?: RegExp;
}

/** Runs `rmap fuzz ARGS`, with findings saved. */
async function fuzz(args: string, setting: Setting = {}): Promise<Ran> {
  const { build = 'fast', damage = '', damagedBuild = build, stopAt } = setting;
  const directory = temporaryDirectory();
  const hook = join(directory, 'damage.mjs');
  writeFileSync(
    hook,
    `import { isMainThread } from 'node:worker_threads';
    import { Machine } from ${JSON.stringify(join(DIST, damagedBuild, 'kernel/machine.js'))};
    const { apply } = Machine.prototype;
    Machine.prototype.apply = function (operation) {
      const machine = this;
      const result = apply.call(machine, operation);
      ${damage}
      return result;
    };`,
  );
  const out = join(directory, 'out');
  const main = join(DIST, build, 'cli/main.js');
  const words = ['--import', hook, main, 'fuzz', '--out', out, ...args.split(' ')];
  const child = spawn(process.execPath, words, { env: { ...process.env, NO_COLOR: '1' } });
  onTestFinished(() => void child.kill('SIGKILL'));
  let [stdout, stderr, isStopped] = ['', '', false];
  child.stderr.on('data', (text) => (stderr += String(text)));
  child.stdout.on('data', (text) => {
    stdout += String(text);
    if (stopAt?.test(stdout) !== true || isStopped) return;
    isStopped = true;
    child.kill('SIGINT');
  });
  const [code] = (await once(child, 'close')) as unknown[];
  const saved: Record<string, string> = {};
  for (const name of readdirSync(directory).includes('out') ? readdirSync(out) : []) {
    saved[name] = readFileSync(join(out, name), 'utf8');
  }
  // The rate is another one each time.
  return { code, stdout: stdout.replace(/\([\d.,]+ ?k?\/s\)/, '(rate)'), stderr, saved };
}

/** One scenario in about ten shows it. */
const CRASHES = `if (operation.op === 'mprotect' && operation.n % 7 === 3) {
  throw new RangeError('no such range: ' + operation.n);
}`;
const UNCOUNTED_CHILD = `if (operation.op === 'fork') {
  const forked = machine.kernel.anonVmas.find((one) => one.refcount > 0 && one.parent !== one);
  if (forked !== undefined) forked.parent.childCount -= 1;
}`;

it('gives the same findings, in the order of the seeds', async () => {
  const args = '--runs 130 --seed 40 --ops 20 --mode small --most 100 --c-reproducer --jobs';
  const one = await fuzz(`${args} 1`, { damage: CRASHES });
  expect(one.code).toBe(1);
  expect(one.stdout.match(/^found: RangeError/gm)?.length).toBeGreaterThan(4);
  expect(Object.keys(one.saved).length).toBeGreaterThan(8);
  expect(await fuzz(`${args} 3`, { damage: CRASHES })).toEqual(one);
});

it('stops at the same finding, and counts nothing behind it', async () => {
  const args = '--runs 400 --ops 20 --mode merge --check --most 2 --jobs';
  const one = await fuzz(`${args} 1`, { damage: UNCOUNTED_CHILD });
  expect(one.stdout).toMatch(/^found: invariant anon-vma\./m);
  expect(one.stdout).toMatch(/: 2 findings$/m);
  expect(await fuzz(`${args} 2`, { damage: UNCOUNTED_CHILD })).toEqual(one);
});

it('finds as little where nothing is wrong', async () => {
  const one = await fuzz('--runs 70 --ops 15 --jobs 1');
  expect(one).toMatchObject({ code: 0, stderr: '', saved: {} });
  expect(one.stdout).toMatch(/^70 scenarios, [\d,]+ operations \(rate\): 0 findings\n$/);
  expect(await fuzz('--runs 70 --ops 15 --jobs 2')).toEqual(one);
  // More threads than scenarios.
  expect((await fuzz('--runs 1 --ops 15 --jobs 4')).stdout).toMatch(/^1 scenarios,/);
});

it('reports on a signal all that was done until then', async () => {
  const args = '--ops 20 --mode small --most 1000000';
  const stopAt = /^found/m;
  const stopped = await fuzz(`${args} --runs 1000000 --jobs 2`, { damage: CRASHES, stopAt });
  expect(stopped).toMatchObject({ code: 1, stderr: '' });
  const runs = /^([\d,]+) scenarios/m.exec(stopped.stdout)?.[1]?.replaceAll(',', '') ?? '0';
  expect(Number(runs)).toBeLessThan(100_000);
  expect(await fuzz(`${args} --runs ${runs} --jobs 1`, { damage: CRASHES })).toEqual(stopped);
});

it('fails as one thread does when the fuzzer itself does', async () => {
  const damage = `if (operation.op === 'mremap') throw 'odd';`;
  const args = '--runs 60 --ops 20 --mode small --jobs';
  const one = await fuzz(`${args} 1`, { damage });
  expect(one.code).toBe(70);
  expect(one.stderr).toMatch(/^rmap: bug: odd; replay with: .* --mode small --seed \d+ --runs 1 /);
  expect(await fuzz(`${args} 2`, { damage })).toEqual(one);
});

it('names the scenario with which a thread ended', async () => {
  const damage = `if (!isMainThread && operation.op === 'mremap') process.exit(3);`;
  const ended = await fuzz('--runs 60 --ops 20 --mode small --jobs 2', { damage });
  expect(ended).toMatchObject({ code: 70, stdout: '' });
  const seed = /a thread ended \(3\); replay .* --seed (\d+) --runs 1 /.exec(ended.stderr)?.[1];
  const alone = await fuzz(`--runs 1 --ops 20 --mode small --seed ${seed} --jobs 2`, { damage });
  expect(alone.code).toBe(70);
});

it('has threads of the build that the command is of', async () => {
  const args = '--runs 60 --ops 20 --mode small --jobs 2';
  const own = { build: 'check', damage: CRASHES } as const;
  expect((await fuzz(args, own)).stdout).toMatch(/^found: RangeError/);
  const other = { ...own, damagedBuild: 'fast' } as const;
  expect((await fuzz(args, other)).stdout).toMatch(/: 0 findings\n$/);
});

it('takes one thread for each processor where that pays', () => {
  const plan = { seed: '1', ops: '40' };
  expect(planJobs(plan, 4)).toBe(4);
  expect(planJobs({ ...plan, for: '10min' }, 4)).toBe(4);
  expect(planJobs({ ...plan, runs: '51' }, 4)).toBe(4);
  expect(planJobs({ ...plan, runs: '50' }, 4)).toBe(1);
  expect(planJobs({ ...plan, runs: '50', jobs: '3' }, 4)).toBe(3);
  expect(planJobs({ ...plan, live: true }, 4)).toBe(1);
  for (const wrong of [{ jobs: '0' }, { jobs: '257' }, { jobs: '1', live: true }]) {
    expect(() => planJobs({ ...plan, ...wrong }, 4)).toThrow(RmapError);
  }
});
