import { errorCodeOf, isGone } from './processes.js';

/** Whether this user may not look at a process. */
export function isHidden(error: unknown): boolean {
  const code = errorCodeOf(error);
  return code === 'EACCES' || code === 'EPERM';
}

/** Runs a look at a process; `undefined` if it is gone or hidden, which is noted. */
export function look<T>(pid: number, denied: Set<number>, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isHidden(error)) denied.add(pid);
    else if (!isGone(error)) throw error;
    return undefined;
  }
}
