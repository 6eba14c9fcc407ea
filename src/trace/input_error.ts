import { RmapError } from '../base/errors.js';

/** An error about the content of a file. */
export function inputError(message: string, cause?: unknown): RmapError {
  return new RmapError('input', message, cause === undefined ? undefined : { cause });
}

/** Reason of a failed system call or a library's error, in one line. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'no such file';
  if (code === 'EACCES') return 'permission denied';
  if (code === 'EISDIR') return 'is a directory';
  return error.message.replaceAll(/\s+/g, ' ');
}
