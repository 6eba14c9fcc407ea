/**
 * What went wrong, in terms that a caller can act on.
 * - `usage`: the command line or an argument of an API call is wrong.
 * - `input`: a file (recording, scenario, state, trace text) is malformed.
 * - `environment`: this machine cannot do it; the message names the missing capability.
 * - `bug`: a broken invariant of this program.
 */
export type ErrorCode = 'usage' | 'input' | 'environment' | 'bug';

/** An error with a one-line message: what was found, what was expected, where. */
export class RmapError extends Error {
  override readonly name = 'RmapError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * Reports a bug in this program. Written `if (!holds) fail(...)` so that the message is built on
 * the failing path only.
 */
export function fail(message: string): never {
  throw new RmapError('bug', message);
}

/** Compile-time proof that a union is exhausted; a bug if it is ever reached. */
export function assertNever(value: never, what: string): never {
  fail(`${what}: ${JSON.stringify(value)} is not handled`);
}
