import { join } from 'node:path';
import { RmapError } from '../base/errors.js';
import { Cgroup, findUnifiedMount } from './cgroup.js';
import { guardedFreeze, guardedStop } from './guarded_session.js';
import { freezerPause } from './pause.js';
import type { Pause } from './pause.js';
import {
  isAlive,
  listTids,
  processId,
  readStat,
  readUnifiedCgroup,
  withDescendants,
} from './processes.js';
import { sessionName } from './session_journal.js';
import type { SessionJournal } from './session_journal.js';
import { findProgram, prepareCommand } from './start_stub.js';
import type { CommandEnd, PreparedCommand } from './start_stub.js';
import type { RecordTarget } from './recorder_options.js';

/** The processes of a recording: how to list, hold, start and leave them. */
export interface TargetControl {
  /** What is recorded, for the manifest. */
  readonly description: string;
  /** Threads to follow from the start. */
  firstTids(): number[];
  /** Processes that run now. */
  pids(): readonly number[];
  readonly pause: Pause;
  /** Lets a command start; nothing for processes that run already. */
  go(): void;
  /** How the command ended; never settles for other targets. */
  readonly ended: Promise<CommandEnd>;
  /** The command, if one was started for the recording. */
  readonly command: PreparedCommand | undefined;
  cpuTimeMs(): number | undefined;
  /** Gives everything back that was made for the recording. */
  release(): void;
}

const TICKS_PER_SECOND = 100;
const NEVER = new Promise<never>(() => {});

/** The cgroup of this process, in which groups for commands are made. */
function homeCgroup(): Cgroup | undefined {
  const mount = findUnifiedMount();
  const path = readUnifiedCgroup('self');
  if (mount === undefined || path === undefined) return undefined;
  const home = new Cgroup(join(mount, path));
  return home.exists() ? home : undefined;
}

/** A cgroup for a command, or `undefined` where version 2 is missing or not writable. */
function makeCgroup(journal: SessionJournal): Cgroup | undefined {
  const home = homeCgroup();
  if (home === undefined) return undefined;
  const name = sessionName(journal.state.recorder);
  journal.update({ cgroup: join(home.path, name), homeCgroup: home.path });
  try {
    return Cgroup.create(home.path, name);
  } catch {
    // Not delegated to this user: SIGSTOP does the same, visibly.
    return undefined;
  }
}

function commandControl(
  command: readonly string[],
  journal: SessionJournal,
  followed: () => readonly number[],
): TargetControl {
  const prepared: PreparedCommand = prepareCommand(command);
  const cgroup = makeCgroup(journal);
  const isAdopted = cgroup?.adopt(prepared.pid) === true;
  const group = isAdopted ? cgroup : undefined;
  const pids = (): readonly number[] => (group === undefined ? followed() : group.pids());
  return {
    description: command.join(' '),
    firstTids: () => [prepared.pid],
    pids,
    pause: group === undefined ? guardedStop(pids, journal) : freezerPause(group),
    go: () => prepared.go(),
    ended: prepared.ended,
    command: prepared,
    cpuTimeMs: () => (group === undefined ? undefined : group.cpuTimeNs() / 1e6),
    release() {
      prepared.leave();
      const home = journal.state.homeCgroup;
      if (cgroup !== undefined && home !== undefined) cgroup.dissolve(new Cgroup(home));
    },
  };
}

function cpuOf(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) ticks += readStat(pid)?.cpuTicks ?? 0;
  return (ticks * 1000) / TICKS_PER_SECOND;
}

function pidsControl(
  roots: readonly number[],
  journal: SessionJournal,
  followed: () => readonly number[],
): TargetControl {
  const first = withDescendants(roots);
  const pids = (): readonly number[] => {
    const running = followed();
    return running.length > 0
      ? running
      : withDescendants(roots).filter((pid) => first.includes(pid));
  };
  const startCpuMs = cpuOf(first);
  return {
    description: `processes ${roots.join(' ')}`,
    firstTids: () => withDescendants(roots).flatMap(listTids),
    pids: followed,
    pause: guardedStop(pids, journal),
    go: () => undefined,
    ended: NEVER,
    command: undefined,
    cpuTimeMs: () => Math.max(0, cpuOf(followed()) - startCpuMs),
    release: () => undefined,
  };
}

/** Finds a cgroup by its path in the file system or in the version 2 hierarchy. */
export function findCgroup(path: string): Cgroup {
  const mount = findUnifiedMount();
  for (const candidate of [path, ...(mount === undefined ? [] : [join(mount, path)])]) {
    const cgroup = new Cgroup(candidate);
    if (candidate.startsWith('/') && cgroup.exists()) return cgroup;
  }
  throw new RmapError('usage', `${path}: no such cgroup`);
}

function cgroupControl(path: string, journal: SessionJournal): TargetControl {
  const cgroup = findCgroup(path);
  const startCpuNs = cgroup.cpuTimeNs();
  return {
    description: `cgroup ${path}`,
    firstTids: () => cgroup.pids().flatMap(listTids),
    pids: () => cgroup.pids(),
    pause: guardedFreeze(cgroup, journal),
    go: () => undefined,
    ended: NEVER,
    command: undefined,
    cpuTimeMs: () => (cgroup.cpuTimeNs() - startCpuNs) / 1e6,
    release: () => undefined,
  };
}

/** Throws `RmapError('usage')` if there is no such program, process or cgroup. */
export function checkTarget(target: RecordTarget): void {
  switch (target.kind) {
    case 'command':
      findProgram(target.command[0] ?? '');
      return;
    case 'pids':
      for (const pid of target.pids) {
        const id = processId(pid);
        if (id === undefined || !isAlive(id)) {
          throw new RmapError('usage', `there is no process ${pid}`);
        }
        if (withDescendants([pid]).includes(process.pid)) {
          throw new RmapError('usage', `rmap itself runs below process ${pid}: it cannot be held`);
        }
      }
      return;
    case 'cgroup':
      if (findCgroup(target.path).pids().includes(process.pid)) {
        throw new RmapError('usage', `${target.path} contains rmap itself: it cannot be held`);
      }
  }
}

/**
 * Takes control of a target. `followed` lists the processes that the trace follows. For a command
 * the process is made here, but its program does not run before `go`.
 */
export function controlTarget(
  target: RecordTarget,
  journal: SessionJournal,
  followed: () => readonly number[],
): TargetControl {
  switch (target.kind) {
    case 'command':
      return commandControl(target.command, journal, followed);
    case 'pids':
      return pidsControl(target.pids, journal, followed);
    case 'cgroup':
      return cgroupControl(target.path, journal);
  }
}
