import { clearStaleSessions, startGuard } from './clean_up.js';
import type { CleanUpReport } from './clean_up.js';
import type { Cgroup } from './cgroup.js';
import { freezerPause, stopPause } from './pause.js';
import type { Pause } from './pause.js';
import { processId } from './processes.js';
import type { ProcessId } from './processes.js';
import { SessionJournal, ownProcessId } from './session_journal.js';

/**
 * The time in which this process changes something on the machine that must not stay if it dies:
 * a trace instance, a cgroup, processes held still. The journal says what, a guard process undoes
 * it if this one is killed, and the next session does if the guard is killed too.
 */
export interface GuardedSession {
  readonly journal: SessionJournal;
  /** What dead sessions had left behind. */
  readonly cleanedUp: CleanUpReport;
  /** Everything has been undone by this process itself. */
  close(): void;
}

export function openGuardedSession(): GuardedSession {
  const cleanedUp = clearStaleSessions();
  const journal = new SessionJournal(ownProcessId());
  const guard = startGuard(journal);
  return {
    journal,
    cleanedUp,
    close() {
      guard.dismiss();
      journal.remove();
    },
  };
}

function identities(pids: readonly number[]): ProcessId[] {
  return pids.map(processId).filter((id) => id !== undefined);
}

/** Holds processes with SIGSTOP; they are in the journal before they stop. */
export function guardedStop(list: () => readonly number[], journal: SessionJournal): Pause {
  return stopPause(list, (pids) => journal.update({ stopped: identities(pids) }));
}

/** Holds a cgroup that is not ours; it is in the journal before it freezes. */
export function guardedFreeze(cgroup: Cgroup, journal: SessionJournal): Pause {
  const freezer = freezerPause(cgroup);
  return {
    ...freezer,
    hold(meanwhile) {
      journal.update({ frozenCgroup: cgroup.path });
      return freezer.hold(meanwhile);
    },
  };
}
