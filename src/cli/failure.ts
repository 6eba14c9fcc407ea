import type { ErrorCode } from '../base/errors.js';
import { EXIT_BUG, EXIT_ENVIRONMENT, EXIT_USAGE, type ExitCode } from './exit_code.js';
import { printable } from './sanitize.js';

/** A failure as the user sees it: one line and an exit status. */
export interface Failure {
  readonly line: string;
  readonly exitCode: ExitCode;
}

/** System errors that the user can act on, in words. */
const SYSTEM_ERRORS: Readonly<Record<string, { readonly text: string; readonly exit: ExitCode }>> =
  {
    ENOENT: { text: 'no such file or directory', exit: EXIT_USAGE },
    ENOTDIR: { text: 'not a directory', exit: EXIT_USAGE },
    EISDIR: { text: 'is a directory', exit: EXIT_USAGE },
    EEXIST: { text: 'exists already', exit: EXIT_USAGE },
    ENAMETOOLONG: { text: 'name too long', exit: EXIT_USAGE },
    ELOOP: { text: 'too many symbolic links', exit: EXIT_USAGE },
    EACCES: { text: 'permission denied', exit: EXIT_ENVIRONMENT },
    EPERM: { text: 'operation not permitted', exit: EXIT_ENVIRONMENT },
    EROFS: { text: 'read-only file system', exit: EXIT_ENVIRONMENT },
    ENOSPC: { text: 'no space left on device', exit: EXIT_ENVIRONMENT },
    EDQUOT: { text: 'disk quota exceeded', exit: EXIT_ENVIRONMENT },
    EIO: { text: 'input/output error', exit: EXIT_ENVIRONMENT },
    EMFILE: { text: 'too many open files', exit: EXIT_ENVIRONMENT },
    EADDRINUSE: { text: 'address in use', exit: EXIT_ENVIRONMENT },
  };

const EXIT_OF_CODE: Readonly<Record<ErrorCode, ExitCode>> = {
  usage: EXIT_USAGE,
  input: EXIT_USAGE,
  environment: EXIT_ENVIRONMENT,
  bug: EXIT_BUG,
};

/**
 * Turns whatever a command threw into one line and an exit status.
 * @param replay Command that runs the same again; named when the failure is a bug.
 */
export function describeFailure(error: unknown, replay: string): Failure {
  const code = rmapErrorCode(error);
  if (code !== undefined && code !== 'bug') {
    return { line: oneLine(messageOf(error)), exitCode: EXIT_OF_CODE[code] };
  }
  if (code === undefined) {
    const system = systemFailure(error);
    if (system !== undefined) return system;
  }
  const name = code === undefined && error instanceof Error ? `${error.name}: ` : '';
  const line = oneLine(`bug: ${name}${messageOf(error)}`);
  return { line: `${line}; replay with: RMAP_DEBUG=1 ${oneLine(replay)}`, exitCode: EXIT_BUG };
}

/** By shape, not by class: the checker runs on the other build, which has a class of its own. */
function rmapErrorCode(error: unknown): ErrorCode | undefined {
  if (!(error instanceof Error) || error.name !== 'RmapError' || !('code' in error)) {
    return undefined;
  }
  const { code } = error;
  return typeof code === 'string' && code in EXIT_OF_CODE ? (code as ErrorCode) : undefined;
}

/** What a system error means, in words; its code if they are not known. */
export function systemErrorText(code: string): string {
  return Object.hasOwn(SYSTEM_ERRORS, code) ? (SYSTEM_ERRORS[code]?.text ?? code) : code;
}

function systemFailure(error: unknown): Failure | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') {
    return undefined;
  }
  const known = Object.hasOwn(SYSTEM_ERRORS, error.code) ? SYSTEM_ERRORS[error.code] : undefined;
  if (known === undefined) return undefined;
  const path = 'path' in error && typeof error.path === 'string' ? `${error.path}: ` : '';
  return { line: oneLine(`${path}${known.text}`), exitCode: known.exit };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function oneLine(text: string): string {
  return printable(text.trim().replace(/\s*\n\s*/g, '; '));
}
