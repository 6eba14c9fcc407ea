import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Cgroup, findUnifiedMount } from './cgroup.js';
import { errorCodeOf, isAlive, isGone } from './processes.js';
import {
  journalDirectory,
  listJournals,
  listUnbornJournals,
  recorderOf,
  removeJournal,
} from './session_journal.js';
import type { SessionJournal, SessionState } from './session_journal.js';
import { TraceInstance, findTracefs } from './tracefs.js';

/** What was found of dead sessions and undone. */
export interface CleanUpReport {
  readonly instances: readonly string[];
  readonly cgroups: readonly string[];
  /** Processes that were let run again. */
  readonly resumedPids: readonly number[];
}

function resume(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT');
  } catch (error) {
    if (errorCodeOf(error) !== 'ESRCH') throw error;
  }
}

/** Undoes one session: lets processes run first, then removes the cgroup and the instance. */
export function undoSession(state: SessionState): CleanUpReport {
  const resumedPids: number[] = [];
  for (const id of state.stopped) {
    if (!isAlive(id)) continue;
    resume(id.pid);
    resumedPids.push(id.pid);
  }
  if (state.frozenCgroup !== undefined) {
    const frozen = new Cgroup(state.frozenCgroup);
    if (frozen.exists()) frozen.thaw();
  }
  const cgroups: string[] = [];
  if (state.cgroup !== undefined) {
    const own = new Cgroup(state.cgroup);
    if (own.exists()) {
      own.dissolve(new Cgroup(state.homeCgroup ?? dirname(state.cgroup)));
      cgroups.push(state.cgroup);
    }
  }
  const instances: string[] = [];
  if (state.instance !== undefined && removeInstance(state.instance)) {
    instances.push(state.instance);
  }
  return { instances, cgroups, resumedPids };
}

function removeInstance(path: string): boolean {
  try {
    readdirSync(path);
  } catch (error) {
    if (isGone(error) || errorCodeOf(error) === 'EACCES') return false;
    throw error;
  }
  new TraceInstance(path).remove();
  return true;
}

/** Directories of dead sessions below `parent`, by their names. */
function orphans(parent: string): string[] {
  let names: string[];
  try {
    names = readdirSync(parent);
  } catch (error) {
    if (isGone(error) || errorCodeOf(error) === 'EACCES') return [];
    throw error;
  }
  return names
    .filter((name) => {
      const recorder = recorderOf(name);
      return recorder !== undefined && !isAlive(recorder);
    })
    .map((name) => join(parent, name));
}

/**
 * Undoes what recorders that died left behind. Journals come first; instances and cgroups
 * directly below the root of the hierarchy are also found without one.
 */
export function clearStaleSessions(): CleanUpReport {
  const reports: CleanUpReport[] = [];
  const isOfLiving = (path: string): boolean => {
    const recorder = recorderOf(basename(path));
    return recorder !== undefined && isAlive(recorder);
  };
  for (const { path, state } of listJournals(journalDirectory())) {
    if (isOfLiving(path)) continue;
    if (state !== undefined) reports.push(undoSession(state));
    removeJournal(path);
  }
  for (const path of listUnbornJournals(journalDirectory())) {
    if (!isOfLiving(path)) removeJournal(path);
  }
  const stopped = { recorder: { pid: 0, startTicks: 0 }, stopped: [] };
  const tracefs = findTracefs();
  if (tracefs !== undefined) {
    for (const instance of orphans(join(tracefs, 'instances'))) {
      reports.push(undoSession({ ...stopped, instance }));
    }
  }
  const unified = findUnifiedMount();
  if (unified !== undefined) {
    for (const cgroup of orphans(unified)) {
      reports.push(undoSession({ ...stopped, cgroup, homeCgroup: unified }));
    }
  }
  return {
    instances: reports.flatMap((report) => report.instances),
    cgroups: reports.flatMap((report) => report.cgroups),
    resumedPids: reports.flatMap((report) => report.resumedPids),
  };
}

/**
 * Waits for the end of its standard input, that is, of the recorder; then undoes the session from
 * the journal, `$1`. The word `done` ends it without doing anything. A cgroup is emptied again
 * until it goes: its processes fork, and those that exit keep it for a moment.
 */
const GUARD_SCRIPT = `
trap '' INT TERM HUP
while IFS= read -r word; do [ "$word" = done ] && exit 0; done
[ -f "$1" ] || exit 0
while read -r key value; do
  case $key in
    stopped) kill -CONT "\${value%% *}" ;;
    frozenCgroup) echo 0 >"$value/cgroup.freeze" ;;
    cgroup) cgroup=$value; echo 0 >"$value/cgroup.freeze" ;;
    homeCgroup) home=$value ;;
    instance) instance=$value ;;
  esac
done <"$1"
if [ -n "$instance" ]; then
  echo 0 >"$instance/tracing_on"
  echo '!*:*' >"$instance/set_event"
  echo >"$instance/set_event_pid"
  rmdir "$instance"
fi
tries=0
while [ -n "$home" ] && [ -d "$cgroup" ] && [ $tries -lt 50 ]; do
  while read -r pid; do echo "$pid" >"$home/cgroup.procs"; done <"$cgroup/cgroup.procs"
  rmdir "$cgroup" && break
  tries=$((tries + 1))
  sleep 0.1
done
[ -d "$instance" ] || [ -d "$cgroup" ] || rm -f "$1" "$1.new"
`;

/** A process that outlives a killed recorder just long enough to clean up after it. */
export interface Guard {
  /** Ends the guard; the recorder has cleaned up itself. */
  dismiss(): void;
}

export function startGuard(journal: SessionJournal): Guard {
  const child = spawn('/bin/sh', ['-c', GUARD_SCRIPT, 'rmap-guard', journal.path], {
    // A session of its own: signals for the terminal's group do not reach it.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  child.unref();
  if ('unref' in child.stdin && typeof child.stdin.unref === 'function') child.stdin.unref();
  return {
    dismiss() {
      child.stdin.end('done\n');
    },
  };
}
