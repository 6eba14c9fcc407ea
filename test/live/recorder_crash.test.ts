/**
 * Goal: a recorder that is killed at any moment leaves no trace instance, no cgroup and no stopped
 * process behind. Method: SIGKILL it when the outside of each phase shows, first with its guard
 * alive, then with the guard killed too; the next start must clean up what the guard could not.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clearStaleSessions } from '../../src/linux/clean_up.js';
import { findUnifiedMount } from '../../src/linux/cgroup.js';
import { findTracefs, openTracefs } from '../../src/linux/tracefs.js';
import {
  FORKING_PROGRAM,
  guardOf,
  remains,
  startCli,
  stateOf,
  temporaryDirectory,
  until,
} from './recorder_support.js';
import type { RunningCli } from './recorder_support.js';

const unified = findUnifiedMount() ?? '';
let directory = '';
let target: ChildProcess | undefined;

beforeEach(() => {
  openTracefs();
  clearStaleSessions();
  directory = temporaryDirectory();
});

afterEach(() => {
  target?.kill('SIGKILL');
  target = undefined;
  rmSync(directory, { recursive: true, force: true });
});

function nameOf(recorder: RunningCli): string {
  const name = remains().find((entry) => entry.startsWith(`rmap-${recorder.pid}-`));
  return (name ?? '').replace('.journal', '');
}

function isFrozen(recorder: RunningCli): boolean {
  const file = join(unified, nameOf(recorder), 'cgroup.events');
  return existsSync(file) && readFileSync(file, 'utf8').includes('frozen 1');
}

function hasInstance(recorder: RunningCli): boolean {
  const name = nameOf(recorder);
  return name !== '' && existsSync(join(findTracefs() ?? '', 'instances', name));
}

function pidsIn(recorder: RunningCli): number[] {
  const file = join(unified, nameOf(recorder), 'cgroup.procs');
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number);
}

function recordCommand(): RunningCli {
  const command = ['--', '/usr/bin/python3', '-c', FORKING_PROGRAM];
  const output = ['-o', join(directory, 'x.rec'), '--snapshot-every', '50ms'];
  return startCli(['record', ...output, ...command], { LINGER: '3' });
}

/** Starts a process of its own and attaches a recorder to it. */
function recordRunning(): RunningCli {
  target = spawn('/usr/bin/python3', ['-c', FORKING_PROGRAM], {
    env: { ...process.env, LINGER: '5' },
    stdio: 'ignore',
  });
  const output = ['-o', join(directory, 'x.rec'), '--snapshot-every', '50ms'];
  return startCli(['record', ...output, '--pid', String(target.pid ?? 0)]);
}

/** The phases of a recording, each with what shows from outside that it has been reached. */
const phases = [
  ['the trace instance is made', recordCommand, hasInstance],
  ['the command waits to start', recordCommand, (cli: RunningCli) => pidsIn(cli).length === 1],
  ['it records', recordCommand, (cli: RunningCli) => cli.stderr.includes('^C ends it')],
  ['the command is frozen', recordCommand, isFrozen],
  ['the process is stopped', recordRunning, () => stateOf(target?.pid ?? 0) === 'T'],
] as const;

describe.each(phases)('killed when %s', (_name, start, isReached) => {
  it('is undone by the guard', async () => {
    const recorder = start();
    await until(() => isReached(recorder), 'the phase shows', 0);
    const pids = pidsIn(recorder);
    recorder.child.kill('SIGKILL');
    await recorder.ended;
    await until(() => remains().length === 0, 'the guard has cleaned up');
    for (const pid of pids) expect(stateOf(pid)).not.toBe('T');
    expect(stateOf(target?.pid ?? 0)).not.toBe('T');
    for (const pid of pids) if (stateOf(pid) !== '') process.kill(pid, 'SIGKILL');
  });

  it('is undone by the next start if the guard died too', async () => {
    const recorder = start();
    await until(() => isReached(recorder), 'the phase shows', 0);
    const guard = guardOf(recorder.pid);
    const pids = pidsIn(recorder);
    if (guard !== undefined) process.kill(guard, 'SIGKILL');
    recorder.child.kill('SIGKILL');
    await recorder.ended;
    expect(remains()).not.toEqual([]);
    clearStaleSessions();
    expect(remains()).toEqual([]);
    for (const pid of pids) expect(stateOf(pid)).not.toBe('T');
    expect(stateOf(target?.pid ?? 0)).not.toBe('T');
    for (const pid of pids) if (stateOf(pid) !== '') process.kill(pid, 'SIGKILL');
  });
});
