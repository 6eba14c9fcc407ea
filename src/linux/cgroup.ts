import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { RmapError } from '../base/errors.js';
import { errorCodeOf, isGone } from './processes.js';
import { waitUntil } from './wait.js';

const FREEZE_TIMEOUT_MS = 5000;

/** Where cgroup version 2 is mounted, or `undefined`. `mounts` is the text of /proc/mounts. */
export function findUnifiedMount(
  mounts = readFileSync('/proc/mounts', 'utf8'),
): string | undefined {
  return /^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1];
}

/** A control group of version 2. Only the freezer and the list of processes are used. */
export class Cgroup {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Makes a new group below `parent`. */
  static create(parent: string, name: string): Cgroup {
    const path = join(parent, name);
    mkdirSync(path, { mode: 0o700 });
    return new Cgroup(path);
  }

  exists(): boolean {
    return existsSync(join(this.path, 'cgroup.procs'));
  }

  /** Moves a process here with all its threads. False if it is gone. */
  adopt(pid: number): boolean {
    try {
      writeFileSync(join(this.path, 'cgroup.procs'), String(pid));
      return true;
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }

  /** Processes of this group and of the groups below it. */
  pids(): number[] {
    const pids: number[] = [];
    const open = [this.path];
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      let text: string;
      try {
        text = readFileSync(join(path, 'cgroup.procs'), 'utf8');
        for (const entry of readdirSync(path, { withFileTypes: true })) {
          if (entry.isDirectory()) open.push(join(path, entry.name));
        }
      } catch (error) {
        if (isGone(error) || errorCodeOf(error) === 'ENODEV') continue;
        throw error;
      }
      for (const line of text.split('\n')) if (line !== '') pids.push(Number(line));
    }
    // 0 stands for a process outside this PID name space.
    return pids.filter((pid) => pid > 0).sort((left, right) => left - right);
  }

  isFrozen(): boolean {
    return /^frozen 1$/m.test(readFileSync(join(this.path, 'cgroup.events'), 'utf8'));
  }

  /** Stops all processes of the group; on return none of them runs. */
  freeze(meanwhile?: () => void): void {
    writeFileSync(join(this.path, 'cgroup.freeze'), '1');
    if (waitUntil(() => this.isFrozen(), FREEZE_TIMEOUT_MS, meanwhile)) return;
    this.thaw();
    throw new RmapError(
      'environment',
      `${this.path} did not freeze within ${FREEZE_TIMEOUT_MS / 1000} s: a task is stuck in the kernel`,
    );
  }

  thaw(): void {
    writeFileSync(join(this.path, 'cgroup.freeze'), '0');
  }

  /** CPU time that the group has used, in ns; 0 if the kernel does not tell. */
  cpuTimeNs(): number {
    const text = readFileSync(join(this.path, 'cpu.stat'), 'utf8');
    return Number(/^usage_usec (\d+)$/m.exec(text)?.[1] ?? 0) * 1000;
  }

  /** Thaws the group, moves what still runs to `parent` and removes the group. */
  dissolve(parent: Cgroup): void {
    if (!this.exists()) return;
    this.thaw();
    const isEmpty = (): boolean => {
      for (const pid of this.pids()) parent.adopt(pid);
      try {
        rmdirSync(this.path);
        return true;
      } catch (error) {
        if (errorCodeOf(error) === 'EBUSY') return false;
        if (isGone(error)) return true;
        throw error;
      }
    };
    // Exiting tasks keep a group busy for a moment.
    if (!waitUntil(isEmpty, FREEZE_TIMEOUT_MS)) {
      throw new RmapError('environment', `${this.path} could not be removed: still in use`);
    }
  }
}
