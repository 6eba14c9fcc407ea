import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { constants as systemConstants } from 'node:os';
import { RmapError } from '../base/errors.js';

/**
 * Waits for one line on file descriptor 3, then becomes the command. If the recorder dies first,
 * the read fails and the stub ends: nothing is left waiting.
 */
const STUB_SCRIPT = 'IFS= read -r go <&3 || exit 125; exec 3<&-; exec "$@"';

/** How the command ended. */
export interface CommandEnd {
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
}

/** A command that is ready to start: its process exists, its program does not run yet. */
export interface PreparedCommand {
  readonly pid: number;
  /** Lets the command run. */
  go(): void;
  /** Sends a signal to the command and its process group. */
  signal(name: NodeJS.Signals): void;
  /** Lets this process end before the command does. A command that was not let go never runs. */
  leave(): void;
  readonly ended: Promise<CommandEnd>;
}

/** Path of a program as the shell would find it. Throws `RmapError('usage')` if there is none. */
export function findProgram(name: string, path = process.env['PATH'] ?? ''): string {
  const candidates = name.includes('/')
    ? [name]
    : path.split(delimiter).map((directory) => join(directory === '' ? '.' : directory, name));
  for (const candidate of candidates) {
    try {
      accessSync(candidate, constants.X_OK);
      if (statSync(candidate).isFile()) return candidate;
    } catch {
      continue;
    }
  }
  throw new RmapError('usage', `${name}: no such program`);
}

/** Makes the process of a command. It runs in a session of its own: ^C reaches only the recorder. */
export function prepareCommand(command: readonly string[]): PreparedCommand {
  const child = spawn('/bin/sh', ['-c', STUB_SCRIPT, 'sh', ...command], {
    detached: true,
    stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
  });
  const { pid } = child;
  if (pid === undefined) throw new RmapError('environment', '/bin/sh could not be started');
  const gate = child.stdio[3];
  // A stub that is killed before it has read the line breaks the pipe; `ended` tells of it.
  gate?.on('error', () => {});
  const ended = new Promise<CommandEnd>((resolve) => {
    child.on('exit', (code, signal) =>
      resolve({ exitCode: code ?? undefined, signal: signal ?? undefined }),
    );
  });
  return {
    pid,
    ended,
    go() {
      if (gate !== null && gate !== undefined && 'end' in gate) gate.end('go\n');
    },
    leave() {
      gate?.destroy();
      child.unref();
    },
    signal(name) {
      try {
        process.kill(-pid, systemConstants.signals[name]);
      } catch {
        // The group is gone: there is nobody left to tell.
      }
    },
  };
}
