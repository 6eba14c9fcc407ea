import { readFileSync, readdirSync } from 'node:fs';
import { numberField, parseFields, parseStat } from './proc_text.js';
import type { ProcessStat } from './proc_text.js';

/** A process and its instance: pids are reused, a pid with its start time is not. */
export interface ProcessId {
  readonly pid: number;
  readonly startTicks: number;
}

/** The parts of /proc/PID/status that are used here; sizes in KiB. */
export interface ProcessStatus {
  readonly name: string;
  readonly threadCount: number;
  readonly rssAnonKib: number;
  readonly rssFileKib: number;
  readonly rssShmemKib: number;
  readonly swapKib: number;
  readonly pageTableKib: number;
  readonly pinnedKib: number;
}

/** The code of a failed system call, `''` for any other error. */
export function errorCodeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return '';
}

/** Whether an error means that a process ended while it was looked at. */
export function isGone(error: unknown): boolean {
  const code = errorCodeOf(error);
  return code === 'ENOENT' || code === 'ESRCH';
}

/** Not the string 'utf8': for that node copies its defaults at each call, a third of the time. */
const AS_TEXT = { encoding: 'utf8', flag: 'r' } as const;

/** Reads a file below /proc/PID, or `undefined` if the process is gone. */
export function readProcText(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, AS_TEXT);
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** All process ids, ascending; kernel threads included. */
export function listPids(): number[] {
  const pids: number[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (Number.isInteger(pid) && pid > 0) pids.push(pid);
  }
  return pids.sort((left, right) => left - right);
}

/** Thread ids of a process, empty if it is gone. */
export function listTids(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

export function readStat(pid: number): ProcessStat | undefined {
  const text = readProcText(pid, 'stat');
  return text === undefined ? undefined : parseStat(text, `/proc/${pid}/stat`);
}

/** Name of a process, empty if it is gone. Cheaper than its `stat`, for which Linux adds up times. */
export function readComm(pid: number): string {
  return readProcText(pid, 'comm')?.replace(/\n$/, '') ?? '';
}

/** Names of processes, each read once. */
export class ProcessNames {
  readonly #names = new Map<number, string>();

  of(pid: number): string {
    let name = this.#names.get(pid);
    if (name === undefined) this.#names.set(pid, (name = readComm(pid)));
    return name;
  }
}

/** The identity of a running process, or `undefined` if there is none with this pid. */
export function processId(pid: number): ProcessId | undefined {
  const stat = readStat(pid);
  return stat === undefined ? undefined : { pid, startTicks: stat.startTicks };
}

/** Whether exactly this process still runs (a zombie does not). */
export function isAlive(id: ProcessId): boolean {
  const stat = readStat(id.pid);
  return stat !== undefined && stat.startTicks === id.startTicks && !/[ZX]/.test(stat.state);
}

/** Name of a process and its pinned memory: the two of its fields that a page asks for. */
export function readNameAndPins(
  pid: number,
): { readonly name: string; readonly pinnedKib: number } | undefined {
  const text = readProcText(pid, 'status');
  if (text === undefined) return undefined;
  const name = text.slice('Name:\t'.length, text.indexOf('\n'));
  const pins = text.indexOf('\nVmPin:');
  return { name, pinnedKib: pins < 0 ? 0 : Number.parseInt(text.slice(pins + 7, pins + 32), 10) };
}

export function readStatus(pid: number): ProcessStatus | undefined {
  const text = readProcText(pid, 'status');
  if (text === undefined) return undefined;
  const fields = parseFields(text);
  return {
    name: fields.get('Name') ?? '',
    threadCount: numberField(fields, 'Threads'),
    rssAnonKib: numberField(fields, 'RssAnon'),
    rssFileKib: numberField(fields, 'RssFile'),
    rssShmemKib: numberField(fields, 'RssShmem'),
    swapKib: numberField(fields, 'VmSwap'),
    pageTableKib: numberField(fields, 'VmPTE'),
    pinnedKib: numberField(fields, 'VmPin'),
  };
}

/**
 * Path of a process in the cgroup hierarchy that accounts its memory: the memory controller of
 * version 1 if there is one, else version 2. Empty if unknown.
 */
export function readCgroup(pid: number): string {
  const text = readProcText(pid, 'cgroup') ?? '';
  let unified = '';
  for (const line of text.split('\n')) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers.split(',').includes('memory')) return path;
    if (controllers === '' && path !== '') unified = path;
  }
  return unified;
}

/** Path of a process in the version 2 hierarchy, or `undefined`. */
export function readUnifiedCgroup(pid: number | 'self'): string | undefined {
  const text = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  return /^0::(.*)$/m.exec(text)?.[1];
}

/**
 * Children of a process, ascending. The kernel lists them with each thread that forked them
 * (CONFIG_PROC_CHILDREN); without that all processes are asked for their parent.
 */
export function listChildren(parent: number): number[] {
  const lists = listTids(parent).map((tid) => readProcText(parent, `task/${tid}/children`));
  const children = lists.every((list) => list === undefined)
    ? listPids().filter((pid) => readStat(pid)?.ppid === parent)
    : lists.flatMap((list) => list?.trim().split(' ').map(Number) ?? []).filter((pid) => pid > 0);
  return children.toSorted((left, right) => left - right);
}

/** The given processes and all their descendants that run now, ascending. */
export function withDescendants(roots: readonly number[]): number[] {
  const children = new Map<number, number[]>();
  for (const pid of listPids()) {
    const stat = readStat(pid);
    if (stat === undefined) continue;
    const siblings = children.get(stat.ppid);
    if (siblings === undefined) children.set(stat.ppid, [pid]);
    else siblings.push(pid);
  }
  const found = new Set<number>();
  const open = [...roots];
  for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
    if (found.has(pid)) continue;
    found.add(pid);
    open.push(...(children.get(pid) ?? []));
  }
  return [...found].sort((left, right) => left - right);
}
