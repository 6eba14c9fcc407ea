import { spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { RmapError } from '../base/errors.js';
import { errorCodeOf, isGone } from './processes.js';
import { waitUntil } from './wait.js';

const STANDARD_MOUNT = '/sys/kernel/tracing';

/** Where tracefs is mounted, or `undefined`. `mounts` is the text of /proc/mounts. */
export function findTracefs(mounts = readFileSync('/proc/mounts', 'utf8')): string | undefined {
  const points = [...mounts.matchAll(/^\S+ (\S+) tracefs /gm)].map((match) => match[1]);
  return points.includes(STANDARD_MOUNT) ? STANDARD_MOUNT : points[0];
}

/** What works without tracefs; ends every refusal. */
const FALLBACK =
  'without root: record --flags-only, or import the text of perf script or strace (rmap doctor)';

/**
 * Finds tracefs, or mounts it at its standard place, as trace-cmd does; it stays mounted. Throws
 * `RmapError('environment')` with what is missing and what works instead, before anything is made.
 */
export function openTracefs(): string {
  const path = findTracefs() ?? mountTracefs();
  if (path === undefined) {
    throw new RmapError(
      'environment',
      `tracefs is not mounted and cannot be: needs root and CONFIG_FTRACE; ${FALLBACK}`,
    );
  }
  for (const needed of [join(path, 'instances'), '/proc/kpagecount', '/proc/kpageflags']) {
    try {
      accessSync(needed, needed.startsWith('/proc') ? constants.R_OK : constants.W_OK);
    } catch (error) {
      throw new RmapError('environment', `${needed}: no access; ${FALLBACK}`, { cause: error });
    }
  }
  return path;
}

function mountTracefs(): string | undefined {
  if (!existsSync(STANDARD_MOUNT)) return undefined;
  const { status } = spawnSync('/bin/mount', ['-t', 'tracefs', 'nodev', STANDARD_MOUNT]);
  return status === 0 ? STANDARD_MOUNT : undefined;
}

/** Writes one control file; an error names the file and the value. */
function writeControl(path: string, value: string, mode: 'w' | 'a' = 'w'): void {
  const fd = openSync(path, mode);
  try {
    writeSync(fd, value);
  } finally {
    closeSync(fd);
  }
}

/** Losses and contents of one ring buffer, as in per_cpu/cpuN/stats. */
export interface RingStats {
  readonly cpu: number;
  readonly readEvents: number;
  /** Oldest events overwritten before they were read. */
  readonly overrunEvents: number;
  /** Newest events refused because the buffer was full. */
  readonly droppedEvents: number;
  /** Events lost because an interrupt filled the buffer between reserve and commit. */
  readonly commitOverrunEvents: number;
}

/** Parses the text of per_cpu/cpuN/stats. */
export function parseRingStats(text: string, cpu: number): RingStats {
  const number = (name: string): number =>
    Number(new RegExp(`^${name}: (\\d+)`, 'm').exec(text)?.[1] ?? 0);
  return {
    cpu,
    readEvents: number('read events'),
    overrunEvents: number('overrun'),
    droppedEvents: number('dropped events'),
    commitOverrunEvents: number('commit overrun'),
  };
}

/** A private trace instance: own buffers, own events; other tracers do not see it. */
export class TraceInstance {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Makes an instance. Throws `RmapError('environment')` if the kernel refuses. */
  static create(tracefs: string, name: string): TraceInstance {
    const path = join(tracefs, 'instances', name);
    try {
      mkdirSync(path);
    } catch (error) {
      const code = errorCodeOf(error);
      if (code !== 'EACCES' && code !== 'EPERM') throw error;
      throw new RmapError(
        'environment',
        `${tracefs}: no right to make a trace instance: needs root`,
        {
          cause: error,
        },
      );
    }
    return new TraceInstance(path);
  }

  write(file: string, value: string): void {
    writeControl(join(this.path, file), value);
  }

  append(file: string, value: string): void {
    writeControl(join(this.path, file), value, 'a');
  }

  read(file: string): string {
    return readFileSync(join(this.path, file), 'utf8');
  }

  hasEvent(event: string): boolean {
    return existsSync(join(this.path, 'events', event.replace(':', '/'), 'enable'));
  }

  /** Content of the format file of an event, `undefined` if this kernel lacks the event. */
  format(event: string): string | undefined {
    try {
      return this.read(join('events', event.replace(':', '/'), 'format'));
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  /** Numbers of the CPUs that have a ring buffer. */
  cpus(): number[] {
    return readdirSync(join(this.path, 'per_cpu'))
      .map((name) => Number(/^cpu(\d+)$/.exec(name)?.[1] ?? -1))
      .filter((cpu) => cpu >= 0)
      .sort((left, right) => left - right);
  }

  stats(cpu: number): RingStats {
    return parseRingStats(this.read(`per_cpu/cpu${cpu}/stats`), cpu);
  }

  /** Switches everything off and removes the instance. All its files must be closed. */
  remove(): void {
    if (!existsSync(this.path)) return;
    for (const [file, value] of [
      ['tracing_on', '0'],
      ['set_event', '!*:*\n'],
      ['set_event_pid', '\n'],
    ] as const) {
      this.write(file, value);
    }
    const isRemoved = (): boolean => {
      try {
        rmdirSync(this.path);
        return true;
      } catch (error) {
        if (errorCodeOf(error) === 'EBUSY') return false;
        if (isGone(error)) return true;
        throw error;
      }
    };
    if (!waitUntil(isRemoved, 2000)) {
      throw new RmapError('environment', `${this.path} could not be removed: still in use`);
    }
  }
}
