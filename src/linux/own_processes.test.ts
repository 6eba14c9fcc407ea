/** What works on one's own processes without privileges: starting, holding, listing. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { stopPause } from './pause.js';
import { isAlive, listTids, processId, readStat, withDescendants } from './processes.js';
import { findProgram, prepareCommand } from './start_stub.js';
import { waitUntil } from './wait.js';

const started: ChildProcess[] = [];

afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

function start(script: string): number {
  const child = spawn('/bin/sh', ['-c', script], { stdio: 'ignore' });
  started.push(child);
  return child.pid ?? 0;
}

function stateOf(pid: number): string {
  return readStat(pid)?.state ?? '';
}

test('programs are found as the shell finds them', () => {
  expect(findProgram('sh', '/nowhere:/bin')).toBe('/bin/sh');
  expect(findProgram('/bin/sh', '')).toBe('/bin/sh');
  expect(() => findProgram('no-such-program', '/bin')).toThrow('no-such-program: no such program');
  expect(() => findProgram('/bin')).toThrow('no such program');
});

test('a prepared command does not run before it is let go', async () => {
  const command = prepareCommand(['sh', '-c', 'exit $1', 'sh', '7']);
  await setTimeout(50);
  expect(readStat(command.pid)?.comm).toBe('sh');
  expect(processId(command.pid)).toBeDefined();
  command.go();
  expect(await command.ended).toEqual({ exitCode: 7, signal: undefined });
});

test('arguments are not interpreted', async () => {
  const command = prepareCommand([
    '/bin/sh',
    '-c',
    'test "$1" = \'$(exit 3); *\'',
    'x',
    '$(exit 3); *',
  ]);
  command.go();
  expect((await command.ended).exitCode).toBe(0);
});

test('held processes stop with what they forked, and run again', () => {
  const pid = start('sleep 60 & sleep 61');
  expect(waitUntil(() => withDescendants([pid]).length === 3, 5000)).toBe(true);
  const journal: number[][] = [];
  const pause = stopPause(
    () => withDescendants([pid]),
    (pids) => journal.push([...pids]),
  );
  const held = pause.hold();
  expect(held.length).toBe(3);
  expect(held.map(stateOf)).toEqual(['T', 'T', 'T']);
  // What is about to be stopped was written down before.
  expect(journal[0]).toEqual(held);
  pause.release();
  expect(waitUntil(() => held.every((member) => stateOf(member) === 'S'), 5000)).toBe(true);
  expect(journal.at(-1)).toEqual([]);
});

test('a process that was stopped before stays stopped', () => {
  const pid = start('sleep 60');
  process.kill(pid, 'SIGSTOP');
  expect(waitUntil(() => stateOf(pid) === 'T', 5000)).toBe(true);
  const pause = stopPause(() => [pid]);
  expect(pause.hold()).toEqual([pid]);
  pause.release();
  expect(waitUntil(() => stateOf(pid) !== 'T', 200)).toBe(false);
});

test('a pid alone does not make a process', () => {
  const id = processId(process.pid);
  expect(id !== undefined && isAlive(id)).toBe(true);
  expect(isAlive({ pid: process.pid, startTicks: 1 })).toBe(false);
  expect(processId(2 ** 30)).toBeUndefined();
  expect(listTids(process.pid)).toContain(process.pid);
  expect(listTids(2 ** 30)).toEqual([]);
});
