/**
 * Goal: a recording of a real program replays to what the kernel held: every anonymous page of
 * every snapshot with its mapcount and its sharers. Method: record here, replay here, compare with
 * the snapshots that the recording holds.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findUnifiedMount } from '../../src/linux/cgroup.js';
import { replayReport } from '../../src/query/replay_report.js';
import type { ReplayReport } from '../../src/query/replay_report.js';
import { replay } from '../../src/replay/replay.js';
import { openRecording } from '../../src/trace/open.js';
import {
  FORKING_PROGRAM,
  remains,
  startCli,
  temporaryDirectory,
  until,
} from './recorder_support.js';

let directory = '';
let path = '';

beforeEach(() => {
  directory = temporaryDirectory();
  path = join(directory, 'x.rec');
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** Replays the recording; every page of every snapshot must agree. */
async function expectExactReplay(leastPages: number): Promise<ReplayReport> {
  const report = replayReport(await replay(await openRecording(path)));
  const wrong = report.snapshots.filter(
    ({ agree, anonymousPages, extra }) => agree !== anonymousPages || extra > 0,
  );
  expect(wrong).toEqual([]);
  expect(report).toMatchObject({ exact: true, lostEvents: 0, precision: 'exact' });
  const pages = report.snapshots.reduce((sum, { anonymousPages }) => sum + anonymousPages, 0);
  expect(pages).toBeGreaterThan(leastPages);
  expect(remains()).toEqual([]);
  return report;
}

it('Redis that saves in the background while it is written to', async () => {
  const port = '7497';
  const redis = (...args: string[]): string =>
    spawnSync('redis-cli', ['-p', port, ...args]).stdout.toString();
  const server = ['redis-server', '--port', port, '--save', '', '--dir', directory];
  const record = ['record', '--json', '--snapshot-at-fork', '-o', path, '--'];
  const cli = startCli([...record, ...server, '--enable-debug-command', 'yes']);
  await until(() => redis('ping').includes('PONG'), 'Redis answers', 50);
  redis('debug', 'populate', '60000', 'key', '200');
  redis('bgsave');
  spawnSync('redis-benchmark', ['-p', port, '-t', 'set', '-n', '20000', '-r', '60000', '-q']);
  await until(() => redis('info').includes('rdb_bgsave_in_progress:0'), 'the save is over', 50);
  redis('shutdown', 'nosave');
  expect((await cli.ended).code).toBe(0);
  const { snapshots } = await expectExactReplay(10_000);
  expect(snapshots.some(({ name }) => name.startsWith('fork'))).toBe(true);
});

it('a Python server with two workers', async () => {
  const command = ['--', '/usr/bin/python3', '-c', FORKING_PROGRAM];
  const cli = startCli(['record', '--json', '--snapshot-at-fork', '-o', path, ...command]);
  expect((await cli.ended).code).toBe(0);
  // How many snapshots fit depends on how long the program runs: the one at a fork is sure.
  const { snapshots } = await expectExactReplay(20_000);
  expect(snapshots.some(({ name }) => name.startsWith('fork'))).toBe(true);
});

it('a pipeline of the shell', async () => {
  const pipeline = 'seq 1 400000 | sort -n -r -S 40M | { sleep 0.5; head -1; } | cat';
  const schedule = ['--snapshot-every', '100ms'];
  const cli = startCli(['record', '--json', ...schedule, '-o', path, '--', 'sh', '-c', pipeline]);
  expect((await cli.ended).code).toBe(0);
  await expectExactReplay(1000);
});

it('what joins a cgroup, and what was in it before', async () => {
  const cgroup = join(findUnifiedMount() ?? '', `test-rmap-${process.pid}`);
  mkdirSync(cgroup);
  const script = 'read go; exec /usr/bin/python3 -c "$0"';
  const started = Array.from({ length: 2 }, () =>
    spawn('/bin/sh', ['-c', script, FORKING_PROGRAM], {
      env: { ...process.env, LINGER: '3' },
      stdio: ['pipe', 'ignore', 'ignore'],
    }),
  );
  const [early, late] = started;
  try {
    writeFileSync(join(cgroup, 'cgroup.procs'), String(early?.pid));
    const cli = startCli(['record', '--json', '-o', path, '--for', '2500ms', '--cgroup', cgroup]);
    await until(() => cli.stderr.includes('^C ends it'), 'the recording runs');
    writeFileSync(join(cgroup, 'cgroup.procs'), String(late?.pid));
    // Followed within one look at the ring buffers.
    await new Promise((resolve) => setTimeout(resolve, 300));
    for (const child of started) child.stdin?.end('go\n');
    expect((await cli.ended).code).toBe(0);
    const { snapshots } = await expectExactReplay(20_000);
    expect(snapshots.filter(({ name }) => name === 'join1')).toHaveLength(1);
  } finally {
    for (const child of started) child.kill('SIGKILL');
    const ended = (): boolean => {
      writeFileSync(join(cgroup, 'cgroup.kill'), '1');
      try {
        rmdirSync(cgroup);
        return true;
      } catch {
        return false;
      }
    };
    await until(ended, 'the cgroup is empty');
  }
});
