/** What a recording of a real program holds, however it ends. */
import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeNative } from '../../src/linux/native_form.js';
import { EVENT, openRecording, snapshotMark } from '../../src/trace/index.js';
import {
  FORKING_PROGRAM,
  remains,
  startCli,
  stateOf,
  temporaryDirectory,
  until,
} from './recorder_support.js';
import type { RunningCli } from './recorder_support.js';

const PYTHON = ['--', '/usr/bin/python3', '-c', FORKING_PROGRAM];
/** Faults as fast as it can for two seconds. */
const STORM_PROGRAM = [
  'import mmap, time',
  'end = time.time() + 2',
  'while time.time() < end:',
  '    memory = mmap.mmap(-1, 16 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)',
  '    for page in range(0, 16 << 20, 4096): memory[page] = 1',
  '    memory.close()',
].join('\n');

/** The same in two processes, as fast as the kernel can, for up to two seconds. */
const STORM_IN_C = `
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
int main(void) {
  fork();
  time_t end = time(0) + 2;
  while (time(0) < end) {
    char *memory = mmap(0, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (long at = 0; at < 64 << 20; at += 4096) memory[at] = 1;
    munmap(memory, 64 << 20);
  }
  while (wait(0) > 0);
}
`;

let directory = '';
let path = '';

beforeEach(() => {
  directory = temporaryDirectory();
  path = join(directory, 'x.rec');
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

interface Counts {
  readonly events: number;
  readonly lost: number;
  readonly kinds: ReadonlyMap<number, number>;
  readonly marks: readonly string[];
}

/** Decodes everything, which fails if a single page is malformed. */
async function decode(): Promise<Counts> {
  const recording = await openRecording(path);
  const kinds = new Map<number, number>();
  const marks: string[] = [];
  let lost = 0;
  let events = 0;
  for await (const batch of recording.events()) {
    for (let row = 0; row < batch.length; row++) {
      const kind = batch.kind[row] ?? -1;
      if (kind === EVENT.lost) {
        lost += batch.a[row] ?? 0;
        continue;
      }
      events++;
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
      if (kind === EVENT.mark) marks.push(recording.strings.text(batch.text[row] ?? -1).trim());
    }
  }
  return { events, lost, kinds, marks };
}

function manifest(): { complete: boolean; recorder: { stopReason: string; events: number } } {
  const name = existsSync(join(path, 'manifest.json')) ? 'recorder.json' : 'meta.json';
  return JSON.parse(readFileSync(join(path, name), 'utf8'));
}

async function isRecording(cli: RunningCli): Promise<void> {
  await until(() => cli.stderr.includes('^C ends it'), 'the recording runs');
}

it('records a program that forks: nothing lost, every event decodes', async () => {
  const cli = startCli(['record', '--json', '--snapshot-at-fork', '-o', path, ...PYTHON]);
  expect((await cli.ended).code).toBe(0);
  const report = JSON.parse(cli.stdout);
  const counts = await decode();
  expect(report.lostEvents).toBe(0);
  expect(counts.events).toBe(report.events);
  expect(counts.kinds.get(EVENT.newTask)).toBe(2);
  expect(counts.kinds.get(EVENT.exec)).toBe(1);
  // Every page of the parent, and the third that each child writes.
  expect(counts.kinds.get(EVENT.faultUser)).toBeGreaterThan(15_360 + 2 * 5120);
  expect(counts.marks.length).toBe(2 * report.snapshots.length);
  expect(counts.marks.every((mark) => snapshotMark(mark) !== undefined)).toBe(true);
  const recording = await openRecording(path);
  const all = recording.info.snapshots.find(({ processes }) => processes === 3);
  const forked = await recording.snapshot(all?.name ?? 'with three processes');
  expect(Math.max(...forked.runs.mapcount)).toBe(3);
  expect(remains()).toEqual([]);
});

it('keeps files to their owner and does not overwrite', async () => {
  expect((await startCli(['record', '-o', path, '--', 'true']).ended).code).toBe(0);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  const modes = readdirSync(path).map((name) => statSync(join(path, name)).mode & 0o777);
  expect(new Set(modes)).toEqual(new Set([0o600]));
  const again = startCli(['record', '-o', path, '--', 'true']);
  expect((await again.ended).code).toBe(2);
  expect(again.stderr).toContain('exists');
  expect((await startCli(['record', '-f', '-o', path, '--', 'true']).ended).code).toBe(0);
  mkdirSync(join(directory, 'precious/file'), { recursive: true });
  const other = ['record', '-f', '-o', join(directory, 'precious'), '--', 'true'];
  expect((await startCli(other).ended).code).toBe(2);
  expect(existsSync(join(directory, 'precious/file'))).toBe(true);
});

it('ends as tables, unless raw pages are wanted; both hold the same', async () => {
  const raw = join(directory, 'raw.rec');
  const options = ['--snapshot-every', '200ms', '--raw', '-o', raw];
  expect((await startCli(['record', ...options, ...PYTHON]).ended).code).toBe(0);
  expect(readdirSync(raw)).toContain('cpu0.raw.gz');
  cpSync(raw, path, { recursive: true });
  const asRaw = await decode();
  const made = await makeNative(path, () => {});
  expect(readdirSync(path)).toEqual(
    expect.arrayContaining(['manifest.json', 'faults.parquet', 'recorder.json', 'formats.json.gz']),
  );
  expect(readdirSync(path)).not.toContain('cpu0.raw.gz');
  expect(made).toMatchObject({ sizeBytes: expect.any(Number) });
  const asTables = await decode();
  expect(asTables).toEqual(asRaw);
  expect(readdirSync(directory).toSorted((a, b) => (a < b ? -1 : 1))).toEqual(['raw.rec', 'x.rec']);
});

it.each([
  ['SIGINT', 'interrupted'],
  ['SIGTERM', 'terminated'],
] as const)('%s closes a complete recording and passes on', async (signal, stopReason) => {
  const cli = startCli(['record', '-o', path, ...PYTHON], { LINGER: '30' });
  await isRecording(cli);
  await setTimeout(500);
  cli.child.kill(signal);
  expect((await cli.ended).code).toBe(0);
  expect(manifest().complete).toBe(true);
  expect(manifest().recorder.stopReason).toBe(stopReason);
  const counts = await decode();
  expect(counts.events).toBe(manifest().recorder.events);
  expect(counts.marks).toContain('SNAPEND end');
  expect(remains()).toEqual([]);
});

/** Ignores what ends a recording; prints its process. */
const STUBBORN = ['--', 'sh', '-c', 'trap "" INT TERM; echo pid $$; sleep 60'];

it.each([
  ['record', ['--json']],
  ['record', ['--flags-only', '--json']],
] as const)('%s %j leaves a command to run that does not end', async (name, options) => {
  const cli = startCli([name, ...options, '-o', path, '--for', '500ms', ...STUBBORN]);
  expect((await cli.ended).code).toBe(0);
  const pid = Number(/^pid (\d+)$/m.exec(cli.stdout)?.[1]);
  try {
    expect(cli.stdout).toContain(`"runningCommandPid": ${pid}`);
    expect(cli.stderr).toContain('waiting for the command to end');
    expect(stateOf(pid)).toBe('S');
    expect(remains()).toEqual([]);
    expect((await openRecording(path)).info.snapshots.length).toBeGreaterThan(0);
  } finally {
    process.kill(-pid, 'SIGKILL');
  }
});

it('a second ^C leaves it at once, and the recording as raw pages', async () => {
  const cli = startCli(['record', '-o', path, ...STUBBORN]);
  await until(() => cli.stdout.includes('pid '), 'the command runs');
  const pid = Number(/^pid (\d+)$/m.exec(cli.stdout)?.[1]);
  try {
    cli.child.kill('SIGINT');
    await until(() => cli.stderr.includes('waiting for the command'), 'it waits');
    const secondMs = performance.now();
    cli.child.kill('SIGINT');
    expect((await cli.ended).code).toBe(0);
    expect(performance.now() - secondMs).toBeLessThan(2000);
    expect(cli.stderr).toContain(`the command (process ${pid}) still runs after SIGINT`);
    expect(manifest().complete).toBe(true);
    expect((await decode()).events).toBe(manifest().recorder.events);
    expect(readdirSync(path)).toContain('cpu0.raw.gz');
    expect(stateOf(pid)).toBe('S');
  } finally {
    process.kill(-pid, 'SIGKILL');
  }
});

it('ends with the command, also when that is killed', async () => {
  const cli = startCli(['record', '-o', path, '--', 'sh', '-c', 'sleep 0.3; kill -9 $$']);
  expect((await cli.ended).code).toBe(0);
  expect(cli.stdout).toContain('command ended (SIGKILL)');
  expect((await decode()).events).toBe(manifest().recorder.events);
});

/** Faults until it is told to end. */
const ENDLESS_STORM = STORM_PROGRAM.replace('+ 2', '+ 60');

it('stays readable when the disk is full', async () => {
  const size = 'size=2200k';
  expect(spawnSync('mount', ['-t', 'tmpfs', '-o', size, 'tmpfs', directory]).status).toBe(0);
  try {
    const cli = startCli(['record', '-o', path, '--', '/usr/bin/python3', '-c', ENDLESS_STORM]);
    expect((await cli.ended).code).toBe(4);
    expect(cli.stderr).toMatch(
      /x\.rec\/cpu\d+\.raw\.gz: write: no space left on device \(ENOSPC\)/,
    );
    expect(manifest().complete).toBe(true);
    expect(manifest().recorder.stopReason).toBe('disk full');
    const counts = await decode();
    expect(counts.events).toBeGreaterThan(1000);
    expect(counts.events).toBeLessThan(manifest().recorder.events);
    expect(readdirSync(path)).not.toContain('reserve');
  } finally {
    spawnSync('umount', [directory]);
  }
});

it('waits for room while the program itself fills the disk, and loses nothing', async () => {
  // As stress-ng and databases do: a file as large as the disk, for a moment.
  const filler = `
import os, time
${STORM_PROGRAM.replace('+ 2', '+ 0.5')}
descriptor = os.open("${join(directory, 'large')}", os.O_RDWR | os.O_CREAT)
try:
    while True: os.write(descriptor, bytes(1 << 20))
except OSError: pass
${STORM_PROGRAM}
os.ftruncate(descriptor, 0)
`;
  expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', directory]).status).toBe(0);
  try {
    const cli = startCli(['record', '--json', '-o', path, '--', '/usr/bin/python3', '-c', filler]);
    expect((await cli.ended).code).toBe(0);
    const report = JSON.parse(cli.stdout);
    expect(report).toMatchObject({ stopReason: 'command ended', unwrittenBytes: 0 });
    expect((await decode()).events).toBe(report.events);
  } finally {
    spawnSync('umount', [directory]);
  }
});

it('counts lost events and says so', async () => {
  const storm = ['--', '/usr/bin/python3', '-c', STORM_PROGRAM];
  const cli = startCli(['record', '--json', '--buffer', '1', '-o', path, ...storm]);
  await isRecording(cli);
  await setTimeout(300);
  cli.child.kill('SIGSTOP');
  await setTimeout(1000);
  cli.child.kill('SIGCONT');
  expect((await cli.ended).code).toBe(4);
  const report = JSON.parse(cli.stdout);
  expect(report.lostEvents).toBeGreaterThan(1000);
  const counts = await decode();
  expect(counts.events).toBe(report.events);
  expect(counts.lost).toBe(report.lostEvents);
});

it('loses nothing when two processes do nothing but fault', async () => {
  const program = join(directory, 'storm');
  writeFileSync(`${program}.c`, STORM_IN_C);
  expect(spawnSync('clang', ['-O1', '-o', program, `${program}.c`]).status).toBe(0);
  const options = ['--json', '--deep', '--snapshot-every', 'never'];
  const cli = startCli(['record', ...options, '-o', path, '--', program]);
  expect((await cli.ended).code).toBe(0);
  const report = JSON.parse(cli.stdout);
  const perSecond = Math.round((report.events * 1000) / report.durationMs);
  process.stdout.write(`fault storm: ${report.events} events, ${perSecond} per second\n`);
  expect(report.lostEvents).toBe(0);
  expect(report.events).toBeGreaterThan(50_000);
  expect((await decode()).events).toBe(report.events);
});

it('attaches to a process and lets it run on', async () => {
  const target = spawn('/usr/bin/python3', ['-c', FORKING_PROGRAM], {
    env: { ...process.env, LINGER: '20' },
    stdio: 'ignore',
  });
  const pid = target.pid ?? 0;
  try {
    await setTimeout(1000);
    const cli = startCli(['record', '-o', path, '--for', '1s', '--pid', String(pid)]);
    expect((await cli.ended).code).toBe(0);
    expect(manifest().recorder.stopReason).toBe('time limit');
    expect(stateOf(pid)).toBe('S');
    const recording = await openRecording(path);
    const start = await recording.snapshot('start');
    expect(start.procs.length).toBe(3);
    expect((await decode()).marks[0]).toBe('SNAP start');
  } finally {
    target.kill('SIGKILL');
  }
});

it('leaves a snapshot out while a process cannot be stopped, and goes on', async () => {
  // The parent waits for the child of its vfork and cannot stop before that ends.
  const source = join(temporaryDirectory(), 'waits.c');
  const program = source.replace(/\.c$/, '');
  writeFileSync(
    source,
    '#include <unistd.h>\nint main(void) { sleep(2); if (vfork() == 0) { sleep(7); _exit(0); } }\n',
  );
  expect(spawnSync('cc', ['-o', program, source]).status).toBe(0);
  const target = spawn(program, { stdio: 'ignore' });
  const args = ['--pid', String(target.pid), '--snapshot-every', '3s', '--for', '4s'];
  const cli = startCli(['record', '-o', path, '--json', ...args]);
  expect((await cli.ended).code).toBe(0);
  expect(cli.stderr).toContain('snapshot t1 left out: process');
  const report = JSON.parse(cli.stdout);
  expect(report.snapshots[0].name).toBe('start');
  expect(report.snapshotsLeftOut).toBeGreaterThanOrEqual(1);
  expect((await decode()).events).toBe(report.events);
  target.kill('SIGKILL');
});
