import { readFileSync } from 'node:fs';
import { RmapError } from '../base/errors.js';
import { listPids, processId, readProcText, withDescendants } from './processes.js';

/** Which processes a question is about. */
export type ProcessGroup =
  | { readonly kind: 'all' }
  | { readonly kind: 'pids'; readonly pids: readonly number[]; readonly withDescendants: boolean }
  | { readonly kind: 'cgroup'; readonly path: string };

/** Mount points of all cgroup hierarchies. `mounts` is the text of /proc/mounts. */
function cgroupMounts(mounts: string): string[] {
  return [...mounts.matchAll(/^\S+ (\S+) cgroup2? /gm)].map((match) => match[1] ?? '');
}

/** A cgroup as /proc/PID/cgroup names it, whether it was given so or as a path below a mount. */
export function cgroupName(path: string, mounts = readFileSync('/proc/mounts', 'utf8')): string {
  const plain = path.length > 1 ? path.replace(/\/+$/, '') : path;
  for (const mount of cgroupMounts(mounts)) {
    if (plain === mount) return '/';
    if (plain.startsWith(`${mount}/`)) return plain.slice(mount.length);
  }
  return plain.startsWith('/') ? plain : `/${plain}`;
}

/** Whether a line `id:controllers:path` names the cgroup or one below it. */
function isInside(line: string, name: string): boolean {
  const path = /^\d+:[^:]*:(.*)$/.exec(line)?.[1];
  if (path === undefined) return false;
  return path === name || path.startsWith(name === '/' ? '/' : `${name}/`);
}

/**
 * Processes of a group, ascending; `undefined` for all. Throws `RmapError('usage')` if a process
 * or the cgroup does not exist or is empty.
 */
export function findGroup(group: ProcessGroup): readonly number[] | undefined {
  switch (group.kind) {
    case 'all':
      return undefined;
    case 'pids': {
      for (const pid of group.pids) {
        if (processId(pid) === undefined)
          throw new RmapError('usage', `there is no process ${pid}`);
      }
      if (group.withDescendants) return withDescendants(group.pids);
      return [...new Set(group.pids)].toSorted((left, right) => left - right);
    }
    case 'cgroup': {
      const name = cgroupName(group.path);
      const pids = listPids().filter((pid) =>
        (readProcText(pid, 'cgroup') ?? '').split('\n').some((line) => isInside(line, name)),
      );
      if (pids.length > 0) return pids;
      throw new RmapError('usage', `${group.path}: no such cgroup, or no process in it`);
    }
  }
}
