/**
 * Goal: `live` and `who` say what the kernel says. Method: a family whose sharing is known because
 * its program made it, compared with the answers, and those with smaps_rollup.
 */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { guardedStop, openGuardedSession } from '../../src/linux/guarded_session.js';
import { takePicture } from '../../src/linux/picture.js';
import { answerWho } from '../../src/linux/who.js';
import { computeLive } from '../../src/query/live.js';
import type { LiveReport } from '../../src/query/live.js';
import type { WhoObjectReport } from '../../src/query/who_object.js';
import type { WhoPageReport } from '../../src/query/who_page.js';
import { parseWhoTarget } from '../../src/query/who_target.js';
import { stateOf, temporaryDirectory, until } from './recorder_support.js';

const MIB = 1 << 20;
const PRIVATE_MIB = 40;

/**
 * A parent with 40 MiB; child k (1, 2, 3) writes the first k MiB. A memory file of 8 MiB stays
 * open in the parent only; child 3 keeps one page of it mapped.
 */
const FAMILY = `
import ctypes, mmap, os, sys, time
private = mmap.mmap(-1, ${PRIVATE_MIB} << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for page in range(0, ${PRIVATE_MIB} << 20, 4096): private[page] = 1
address = ctypes.addressof(ctypes.c_char.from_buffer(private))
fd = os.memfd_create('rmap-test')
os.ftruncate(fd, 8 << 20)
shared = mmap.mmap(fd, 8 << 20)
for page in range(0, 8 << 20, 4096): shared[page] = 1
shared.close()
children = []
for k in (1, 2, 3):
    child = os.fork()
    if child == 0:
        for page in range(0, k << 20, 4096): private[page] = 2
        if k == 3: window = mmap.mmap(fd, 4096)
        os.close(fd)
        os.write(1, b'ready\\n')
        time.sleep(300)
    children.append(child)
os.write(1, f'{os.getpid()} {hex(address)} {" ".join(map(str, children))}\\n'.encode())
sys.stdin.readline()
os.close(fd)
os.write(1, b'closed\\n')
sys.stdin.readline()
`;

let family: ChildProcess;
let parent = 0;
let children: number[] = [];
let address = 0;
let report: LiveReport;
const lines: string[] = [];
let waiting: (() => void) | undefined;

async function line(isWanted: (text: string) => boolean): Promise<string> {
  for (;;) {
    const index = lines.findIndex(isWanted);
    if (index >= 0) return lines.splice(index, 1)[0] ?? '';
    await new Promise<void>((resolve) => (waiting = resolve));
  }
}

function ask(target: string): ReturnType<typeof answerWho> {
  return answerWho(target, parseWhoTarget(target));
}

function processOf(pid: number): LiveReport['processes'][number] {
  const found = report.processes.find((process) => process.pid === pid);
  if (found === undefined) throw new Error(`${pid} is not in the report`);
  return found;
}

beforeAll(async () => {
  family = spawn('/usr/bin/python3', ['-c', FAMILY], { stdio: ['pipe', 'pipe', 'inherit'] });
  createInterface({ input: family.stdout ?? process.stdin }).on('line', (text) => {
    lines.push(text);
    waiting?.();
  });
  const [pid = '', start = '', ...others] = (await line((text) => text.includes('0x'))).split(' ');
  for (const _ of others) await line((text) => text === 'ready');
  parent = Number(pid);
  address = Number(start);
  children = others.map(Number);
  // Whoever has said a line may still touch memory before it sleeps.
  await until(() => [parent, ...children].every((id) => stateOf(id) === 'S'), 'all sleep');
  report = computeLive(takePicture({ pids: [parent, ...children], wantsKernelSums: true }));
}, 30_000);

afterAll(() => {
  // Process 0 would be this process group.
  for (const pid of [...children, parent]) if (pid > 0) process.kill(pid, 'SIGKILL');
});

describe('live', () => {
  it('agrees with the kernel on every process', () => {
    for (const process of report.processes) {
      expect(process.rssBytes).toBe(process.kernel?.rssBytes);
      expect(process.ussBytes).toBe(process.kernel?.ussBytes);
      // The kernel rounds each mapping down to KiB.
      const difference = process.pssBytes - (process.kernel?.pssBytes ?? 0);
      expect(Math.abs(difference)).toBeLessThan(128 * 1024);
    }
    expect(report.precision).toBe('exact');
    expect(report.method.movedPages).toBe(0);
  });

  it('counts what each child made its own', () => {
    const own = children.map((pid) => processOf(pid).ussBytes / MIB);
    expect(Math.round((own[1] ?? 0) - (own[0] ?? 0))).toBe(1);
    expect(Math.round((own[2] ?? 0) - (own[1] ?? 0))).toBe(1);
  });

  it('finds the exact sets of sharers', () => {
    const bytesOf = (pids: readonly number[]): number =>
      report.sharedBy
        .filter((set) => set.pids.join() === pids.toSorted((a, b) => a - b).join())
        .reduce((sum, set) => sum + set.anonBytes, 0);
    const [first = 0, second = 0, third = 0] = children;
    expect(bytesOf([parent, first, second, third]) / MIB).toBeGreaterThanOrEqual(PRIVATE_MIB - 3);
    expect(Math.round(bytesOf([parent, first, second]) / MIB)).toBe(1);
    expect(Math.round(bytesOf([parent, first]) / MIB)).toBe(1);
  });

  it('expects the next worker to be like its siblings', () => {
    expect(report.nextWorker?.siblingPids).toEqual(children.toSorted((a, b) => a - b));
    expect(Math.round((report.nextWorker?.ussBytes ?? 0) / MIB)).toBe(2);
  });

  it('holds the processes if asked, and lets them go', () => {
    const session = openGuardedSession();
    const pids = [parent, ...children];
    const pause = guardedStop(() => pids, session.journal);
    const picture = takePicture({ pids, wantsKernelSums: false, pause });
    session.close();
    expect(picture.method.consistency).toBe('frozen');
    expect(picture.processes.length).toBe(4);
    expect(pids.map(stateOf).filter((state) => !/^[SR]$/.test(state))).toEqual([]);
  });
});

describe('who', () => {
  const page = (pid: number, offsetBytes: number): WhoPageReport =>
    ask(`${pid}@0x${(address + offsetBytes).toString(16)}`) as WhoPageReport;

  it('names all four mappers of a page that nobody wrote', () => {
    const answer = page(children[0] ?? 0, 20 * MIB);
    expect(answer.type).toBe('anonymous');
    expect(answer.page?.mapcount).toBe(4);
    expect(answer.mappings.map((mapping) => mapping.pid)).toEqual([parent, ...children]);
    expect(answer.precision).toBe('exact');
    expect(answer.releases.every((release) => release.freedBytes === 0)).toBe(true);
  });

  it('knows that a copied page goes with its process', () => {
    const child = children[2] ?? 0;
    const answer = page(child, 2.5 * MIB);
    expect(answer.mappings.map((mapping) => mapping.pid)).toEqual([child]);
    expect(answer.mappings[0]?.isExclusive).toBe(true);
    expect(answer.releases).toEqual([{ pid: child, freedBytes: 4096 }]);
  });

  it('finds the same page by its frame', () => {
    const byAddress = page(parent, 30 * MIB);
    const byFrame = ask(`pfn:${byAddress.page?.pfn ?? 0}`) as WhoPageReport;
    expect(byFrame.mappings).toEqual(byAddress.mappings);
  });

  it('says where there is no page', () => {
    expect((ask(`${parent}@0x1000`) as WhoPageReport).state).toBe('no mapping here');
  });

  it('finds every mapper of a page of a file', async () => {
    const askLibrary = (): WhoPageReport =>
      ask('file:/usr/lib/x86_64-linux-gnu/libc.so.6@0x28000') as WhoPageReport;
    let answer = askLibrary();
    // Other processes of the machine start and end between two looks.
    await until(() => (answer = askLibrary()).missingMappings === 0, 'nobody comes or goes', 50);
    expect(answer.type).toBe('file');
    const pids = answer.mappings.map((mapping) => mapping.pid);
    expect(pids).toEqual(expect.arrayContaining([parent, ...children]));
  });

  it('finds what one mapped page of a memory file keeps alive', async () => {
    const before = ask('memfd:rmap-test') as WhoObjectReport;
    expect(before.objects[0]?.memoryBytes).toBe(8 * MIB);
    expect(before.objects[0]?.holders.map((holder) => holder.pid)).toEqual(
      expect.arrayContaining([parent, children[2]]),
    );
    family.stdin?.write('\n');
    await line((text) => text === 'closed');
    const after = ask('memfd:rmap-test') as WhoObjectReport;
    const [holder, ...others] = after.objects[0]?.holders ?? [];
    expect(others).toEqual([]);
    expect(holder?.pid).toBe(children[2]);
    expect(holder?.freedBytes).toBe(8 * MIB);
  });

  it('finds a deleted file by its old path', () => {
    const directory = temporaryDirectory();
    const path = join(directory, 'data');
    writeFileSync(path, 'x'.repeat(8192));
    const fd = openSync(path, 'r');
    rmSync(directory, { recursive: true });
    const answer = ask(`file:${path}`) as WhoObjectReport;
    closeSync(fd);
    expect(answer.objects[0]?.isDeleted).toBe(true);
    expect(answer.objects[0]?.holders.map((holder) => holder.pid)).toEqual([process.pid]);
  });

  it('finds a System V segment', () => {
    const made = spawnSync('ipcmk', ['-M', '1048576']).stdout.toString();
    const id = /\d+/.exec(made)?.[0] ?? '';
    try {
      const answer = ask(`shm:${id}`) as WhoObjectReport;
      expect(answer.objects[0]?.sizeBytes).toBe(MIB);
      expect(answer.objects[0]?.keptBy).toBe('segment id');
    } finally {
      spawnSync('ipcrm', ['-m', id]);
    }
  });
});
