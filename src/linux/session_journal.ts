import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RmapError } from '../base/errors.js';
import { isGone, processId } from './processes.js';
import type { ProcessId } from './processes.js';

/**
 * What a session changes on the machine, written down before it changes it: whoever finds the
 * journal of a dead session can undo it. A text file of `key value` lines, so that the guard, a
 * shell script, reads it too.
 */
export interface SessionState {
  readonly recorder: ProcessId;
  /** Directory of the trace instance. */
  readonly instance?: string;
  /** Cgroup made for the traced command, … */
  readonly cgroup?: string;
  /** … and the cgroup that its processes go back to. */
  readonly homeCgroup?: string;
  /** Cgroup of the user's that is frozen at the moment. */
  readonly frozenCgroup?: string;
  /** Processes that are stopped by SIGSTOP at the moment. */
  readonly stopped: readonly ProcessId[];
}

/** A state that is being written, behind the path of its journal. */
const FRESH_SUFFIX = '.new';

/** Name of a session: of its instance, cgroup and journal. */
export function sessionName(recorder: ProcessId): string {
  return `rmap-${recorder.pid}-${recorder.startTicks}`;
}

/** The process that a session name belongs to, or `undefined` for other names. */
export function recorderOf(name: string): ProcessId | undefined {
  const match = /^rmap-(\d+)-(\d+)(?:\.journal)?$/.exec(name);
  if (match === null) return undefined;
  return { pid: Number(match[1]), startTicks: Number(match[2]) };
}

export function ownProcessId(): ProcessId {
  const id = processId(process.pid);
  if (id === undefined) throw new RmapError('environment', '/proc is not mounted');
  return id;
}

/** Directory of the journals: only its owner may write it. */
export function journalDirectory(): string {
  const uid = process.getuid?.() ?? 0;
  const path = uid === 0 ? '/run/rmap' : join(tmpdir(), `rmap-${uid}`);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const { uid: owner, mode } = lstatSync(path);
  const isDirectory = lstatSync(path).isDirectory();
  if (!isDirectory || owner !== uid || (mode & 0o022) !== 0) {
    throw new RmapError(
      'environment',
      `${path} is not a directory that only user ${uid} may write`,
    );
  }
  return path;
}

export function formatJournal(state: SessionState): string {
  const lines = [`recorder ${state.recorder.pid} ${state.recorder.startTicks}`];
  for (const key of ['instance', 'cgroup', 'homeCgroup', 'frozenCgroup'] as const) {
    const value = state[key];
    if (value !== undefined) lines.push(`${key} ${value}`);
  }
  for (const { pid, startTicks } of state.stopped) lines.push(`stopped ${pid} ${startTicks}`);
  return `${lines.join('\n')}\n`;
}

/** Parses a journal; `undefined` if it is cut off or no journal. */
export function parseJournal(text: string): SessionState | undefined {
  let recorder: ProcessId | undefined;
  const stopped: ProcessId[] = [];
  const paths: { -readonly [key in keyof SessionState]?: string } = {};
  for (const line of text.split('\n')) {
    const [, key = '', value = ''] = /^(\w+) (.+)$/.exec(line) ?? [];
    if (key === 'recorder' || key === 'stopped') {
      const [pid = 0, startTicks = 0] = value.split(' ').map(Number);
      if (!(pid > 0)) return undefined;
      if (key === 'recorder') recorder = { pid, startTicks };
      else stopped.push({ pid, startTicks });
    } else if (
      key === 'instance' ||
      key === 'cgroup' ||
      key === 'homeCgroup' ||
      key === 'frozenCgroup'
    ) {
      paths[key] = value;
    }
  }
  if (recorder === undefined) return undefined;
  return { ...(paths as Omit<SessionState, 'recorder' | 'stopped'>), recorder, stopped };
}

/** The journal of this process. Each update is on disk before the call returns. */
export class SessionJournal {
  readonly path: string;
  #state: SessionState;

  constructor(recorder: ProcessId, directory = journalDirectory()) {
    this.path = join(directory, `${sessionName(recorder)}.journal`);
    this.#state = { recorder, stopped: [] };
    this.#write();
  }

  get state(): SessionState {
    return this.#state;
  }

  update(change: Partial<SessionState>): void {
    this.#state = { ...this.#state, ...change };
    this.#write();
  }

  remove(): void {
    removeJournal(this.path);
  }

  /** Exchanged as a whole: whoever reads it after our death finds the old state or the new one. */
  #write(): void {
    const fresh = `${this.path}${FRESH_SUFFIX}`;
    writeFileSync(fresh, formatJournal(this.#state), { mode: 0o600 });
    renameSync(fresh, this.path);
  }
}

/** Removes a journal, with a state that did not come into its place any more. */
export function removeJournal(path: string): void {
  rmSync(`${path}${FRESH_SUFFIX}`, { force: true });
  rmSync(path, { force: true });
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

/** All journals in a directory, with their paths. */
export function listJournals(
  directory: string,
): { readonly path: string; readonly state: SessionState | undefined }[] {
  return namesIn(directory)
    .filter((name) => recorderOf(name) !== undefined)
    .map((name) => {
      const path = join(directory, name);
      return { path, state: parseJournal(readFileSync(path, 'utf8')) };
    });
}

/** Paths that journals would have whose first state was never exchanged in. */
export function listUnbornJournals(directory: string): string[] {
  const names = namesIn(directory);
  return names
    .filter((name) => name.endsWith(FRESH_SUFFIX))
    .map((name) => name.slice(0, -FRESH_SUFFIX.length))
    .filter((name) => recorderOf(name) !== undefined && !names.includes(name))
    .map((name) => join(directory, name));
}
