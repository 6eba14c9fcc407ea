/**
 * Goal: what a recorder or observer must never do. Each test is one line of the promise: contents
 * and names of the program stay its own, and a killed observer leaves no program in the kernel.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { nativePrograms } from '../../src/linux/native_programs.js';
import { openRecording } from '../../src/trace/index.js';
import { startCli, temporaryDirectory, until } from './recorder_support.js';

let directory = '';
let path = '';

beforeEach(() => {
  directory = temporaryDirectory();
  path = join(directory, 'x.rec');
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

/** All bytes of a recording, unpacked. */
function contents(): Buffer {
  const files = readdirSync(path).map((name) => {
    const bytes = readFileSync(join(path, name));
    return name.endsWith('.gz') ? gunzipSync(bytes) : bytes;
  });
  return Buffer.concat(files);
}

it('keeps neither contents of memory and files nor the environment', async () => {
  const secrets = ['in-memory', 'in-file', 'in-environment'].map((kind) => `secret-${kind}-4711`);
  const [inMemory = '', inFile = '', inEnvironment = ''] = secrets;
  writeFileSync(join(directory, 'data'), inFile.repeat(1000));
  // Not as it is in the arguments, which are part of the recording's description.
  const hidden = Buffer.from(Buffer.from(inMemory).map((byte) => byte ^ 1)).toString('hex');
  const program = `
import mmap, os, time
memory = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
memory.write(bytes(c ^ 1 for c in bytes.fromhex("${hidden}")) * 100)
data = open("${join(directory, 'data')}", "rb").read()
os.write(1, data[:10])
time.sleep(0.6)
`;
  const command = ['--', '/usr/bin/python3', '-c', program];
  const options = ['--raw', '--deep', '--snapshot-every', '100ms'];
  const cli = startCli(['record', ...options, '-o', path, ...command], { SECRET: inEnvironment });
  expect((await cli.ended).code).toBe(0);
  const all = contents();
  for (const secret of secrets) expect(all.includes(secret)).toBe(false);
});

it('opens no file by a name that the program shows', async () => {
  // Whoever opened the name would wait for ever: a pipe without a writer has come into its place.
  const name = join(directory, 'mapped');
  const program = `
import mmap, os, time
descriptor = os.open("${name}", os.O_RDWR | os.O_CREAT)
os.ftruncate(descriptor, 4096)
memory = mmap.mmap(descriptor, 4096)
memory[0] = 1
os.unlink("${name}")
os.mkfifo("${name}")
os.mkfifo("${name} (deleted)")
time.sleep(0.8)
`;
  const command = ['--', '/usr/bin/python3', '-c', program];
  const cli = startCli(['record', '--snapshot-every', '100ms', '-o', path, ...command]);
  expect((await cli.ended).code).toBe(0);
  const recording = await openRecording(path);
  const names: string[] = [];
  for (const { name: snapshot } of recording.info.snapshots) {
    for (const vma of (await recording.snapshot(snapshot)).vmas) names.push(vma.name);
  }
  expect(names).toContain(`${name} (deleted)`);
});

it('takes a hostile name for text', async () => {
  const program = `
import ctypes, time
name = b"\\x1b[31m;$(id)\\n"
ctypes.CDLL(None).prctl(15, name, 0, 0, 0)
memory = bytearray(1 << 22)
time.sleep(30)
`;
  const target = spawn('/usr/bin/python3', ['-c', program], { stdio: 'ignore' });
  const pid = target.pid ?? 0;
  try {
    const comm = `/proc/${pid}/comm`;
    await until(() => readFileSync(comm, 'utf8').includes('$(id)'), 'it has its name');
    const commands = [
      ['live', String(pid)],
      ['live', '--html', join(directory, 'live.html'), String(pid)],
      ['who', `pid:${pid}`],
      ['record', '--for', '300ms', '-o', path, '--pid', String(pid)],
    ];
    for (const command of commands) {
      const cli = startCli(command);
      expect((await cli.ended).code).toBe(0);
      expect(cli.stdout + cli.stderr).not.toContain('\u001b[31m');
      expect(cli.stdout + cli.stderr).not.toContain('uid=');
    }
    expect(readFileSync(join(directory, 'live.html'), 'utf8')).not.toContain('\u001b');
  } finally {
    target.kill('SIGKILL');
  }
});

it('writes only where nothing is, also through a link', async () => {
  const precious = join(directory, 'precious');
  mkdirSync(precious);
  spawnSync('ln', ['-s', precious, path]);
  const cli = startCli(['record', '-o', path, '--', 'true']);
  expect((await cli.ended).code).toBe(2);
  expect(readdirSync(precious)).toEqual([]);
});

/** Numbers of the BPF programs that a process holds. */
function programsOf(pid: number): string[] {
  const files = readdirSync(`/proc/${pid}/fdinfo`);
  const ids = files.map((file) => {
    const text = readFileSync(`/proc/${pid}/fdinfo/${file}`, 'utf8');
    return /^prog_id:\s+(\d+)$/m.exec(text)?.[1];
  });
  return ids.filter((id) => id !== undefined);
}

function showProgram(id: string): string {
  return spawnSync('bpftool', ['prog', 'show', 'id', id]).stdout.toString();
}

it('a killed observer leaves no program in the kernel, and none is pinned', async () => {
  const { observer, bpfObject } = await nativePrograms();
  const running = spawn(observer, [bpfObject, '0', '1'], { stdio: ['pipe', 'pipe', 'ignore'] });
  await new Promise((resolve) => running.stdout.once('data', resolve));
  const ids = programsOf(running.pid ?? 0);
  // An iterator, and a program that runs only when the observer asks it to: none is attached.
  const kinds = ids.map((id) => /^\d+: (\w+) {2}name (\w+)/.exec(showProgram(id))?.slice(1));
  expect(kinds).toHaveLength(2);
  expect(kinds).toContainEqual(['syscall', 'peek']);
  expect(kinds).toContainEqual(['tracing', 'emit_vma']);
  running.kill('SIGKILL');
  await until(() => ids.every((id) => showProgram(id) === ''), 'they have left the kernel', 50);
  const pins = existsSync('/sys/fs/bpf') ? readdirSync('/sys/fs/bpf') : [];
  expect(pins.filter((name) => !name.endsWith('.debug'))).toEqual([]);
});
