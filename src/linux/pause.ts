import { readFileSync } from 'node:fs';
import { RmapError } from '../base/errors.js';
import type { Cgroup } from './cgroup.js';
import { errorCodeOf, isGone, listTids } from './processes.js';
import { waitUntil } from './wait.js';

/** Something that can hold a group of processes still. */
export interface Pause {
  readonly how: 'cgroup freezer' | 'SIGSTOP';
  /**
   * On return no thread of the group runs in user space; returns the processes held. That can take
   * seconds, in which `meanwhile` is called now and then.
   */
  hold(meanwhile?: () => void): readonly number[];
  release(): void;
}

/** Told about each set of processes just before it is stopped, so that a guard can undo it. */
export type StopJournal = (pids: readonly number[]) => void;

const STOP_TIMEOUT_MS = 5000;

/** Holds a cgroup with the version 2 freezer: invisible to the processes and their parents. */
export function freezerPause(cgroup: Cgroup): Pause {
  return {
    how: 'cgroup freezer',
    hold(meanwhile) {
      cgroup.freeze(meanwhile);
      return cgroup.pids();
    },
    release: () => cgroup.thaw(),
  };
}

/** State letters of all threads of a process, empty if it is gone. */
function threadStates(pid: number): string {
  let states = '';
  for (const tid of listTids(pid)) {
    try {
      const text = readFileSync(`/proc/${pid}/task/${tid}/stat`, 'utf8');
      states += text.charAt(text.lastIndexOf(')') + 2);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }
  return states;
}

/** Stopped, traced, or no longer able to run. */
const HELD = /^[TtZX]*$/;

function signal(pid: number, name: 'SIGSTOP' | 'SIGCONT'): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch (error) {
    if (errorCodeOf(error) === 'ESRCH') return false;
    throw error;
  }
}

/**
 * Holds processes with SIGSTOP. `list` names the processes of the group; it is asked again until
 * no new ones appear, because a process may fork before it stops. Processes that were stopped
 * before stay stopped afterwards. Parents see their children stop (WUNTRACED).
 */
export function stopPause(list: () => readonly number[], journal?: StopJournal): Pause {
  const stopped = new Set<number>();
  const release = (): void => {
    for (const pid of stopped) signal(pid, 'SIGCONT');
    stopped.clear();
    journal?.([]);
  };
  return {
    how: 'SIGSTOP',
    release,
    hold(meanwhile) {
      const held = new Set<number>();
      const holdRound = (): boolean => {
        const fresh = list().filter((pid) => !held.has(pid));
        const running = fresh.filter((pid) => !HELD.test(threadStates(pid)));
        journal?.([...stopped, ...running]);
        for (const pid of running) if (signal(pid, 'SIGSTOP')) stopped.add(pid);
        for (const pid of fresh) held.add(pid);
        for (const pid of running) {
          const isHeld = (): boolean => HELD.test(threadStates(pid));
          if (waitUntil(isHeld, STOP_TIMEOUT_MS, meanwhile)) continue;
          throw new RmapError(
            'environment',
            `process ${pid} did not stop within ${STOP_TIMEOUT_MS / 1000} s: it is stuck in the kernel`,
          );
        }
        return fresh.length === 0;
      };
      try {
        while (!holdRound());
      } catch (error) {
        release();
        throw error;
      }
      return [...held].filter((pid) => listTids(pid).length > 0).sort((a, b) => a - b);
    },
  };
}
